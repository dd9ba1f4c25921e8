import { commands, type Group, groups } from './commands.ts'

/** `berth --help`: every command with its line, by group. */
export function helpText(): string {
  const width = Math.max(...commands.map((entry) => entry.name.length)) + 3
  const parts = Object.entries(groups).map(([group, heading]) => {
    const lines = commands
      .filter((entry) => entry.group === (group as Group))
      .map((entry) => `  ${entry.name.padEnd(width)}${entry.summary}`)
    return lines.length === 0 ? '' : `${heading}:\n${lines.join('\n')}\n\n`
  })
  return (
    'berth runs Helm charts as real containers on one Linux machine\n\n' +
    `Usage: berth [--host unix://PATH] COMMAND [ARGUMENTS]\n\n${parts.join('')}` +
    "'berth COMMAND --help' prints the flags of one command\n"
  )
}
