import type { Command } from 'commander'
import type { Output } from './output.ts'

/** Whose command this is: decides the exit code of a wrong command line (DESIGN.md, section 3). */
export type Manners = 'berth' | 'helm' | 'docker'

export type Group = 'release' | 'chart' | 'container' | 'image' | 'system'

/** What a command's file exports; `output` is where its action writes. */
export interface CommandModule {
  command(output: Output): Command
}

export interface CommandEntry {
  readonly name: string
  readonly aliases?: readonly string[]
  readonly group: Group
  readonly manners: Manners
  /** One line for `berth --help`, sentence case, no full stop. */
  readonly summary: string
  /** Commands are loaded late: only the one that runs costs its start. */
  readonly load: () => Promise<CommandModule>
}

/** The headings of `berth --help`, in order. */
export const groups: Readonly<Record<Group, string>> = {
  release: 'Releases',
  chart: 'Charts',
  container: 'Containers',
  image: 'Images',
  system: 'System',
}

/** Every command of berth, in the order of its help. */
export const commands: readonly CommandEntry[] = [
  {
    name: 'version',
    group: 'system',
    manners: 'berth',
    summary: "Print berth's version",
    load: () => import('./system/version.ts'),
  },
]
