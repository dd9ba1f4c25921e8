/** Where something is mounted in or below one of these, from `/proc/self/mountinfo`, the last mount first. */
export function mountsBelow(mountinfo: string, entries: readonly string[]): readonly string[] {
  // 36 35 98:0 /mnt1 /mnt2 rw,noatime … : the fifth is the place; space, tab, newline and \ are octal. proc(5)
  const places = mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((text) =>
      text.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8))),
    )
  return places
    .filter((place) => entries.some((entry) => place === entry || place.startsWith(`${entry}/`)))
    .reverse()
}
