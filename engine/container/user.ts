import { BerthError } from '../base/error.ts'

export interface ResolvedUser {
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
  readonly home: string
}

interface Passwd {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

/**
 * docker's rules for `USER`: `name|uid[:name|gid]`, looked up in the root file system's own files. A number needs no
 * entry; a name does. Without a group the user's own and its further groups count. `add` is `--group-add`.
 */
export function resolveUser(
  spec: string,
  files: { readonly passwd: string; readonly group: string },
  add: readonly string[] = [],
): ResolvedUser {
  const [userPart = '', groupPart] = spec === '' ? ['0'] : spec.split(/:(.*)/s)
  const users = parsePasswd(files.passwd)
  const groups = parseGroup(files.group)
  const wanted = userPart === '' ? '0' : userPart
  const number = idNumber(wanted)
  const user = users.find((u) => u.name === wanted) ?? users.find((u) => u.uid === number)
  if (!user && number === undefined) {
    throw new BerthError('INVALID', `Unable to find user ${wanted}: no matching entries in passwd file`)
  }
  const findGroup = (text: string): number => {
    const gid = groups.find((g) => g.name === text)?.gid ?? idNumber(text)
    if (gid === undefined) {
      throw new BerthError('INVALID', `Unable to find group ${text}: no matching entries in group file`)
    }
    return gid
  }
  const gid = groupPart ? findGroup(groupPart) : (user?.gid ?? 0)
  const further =
    groupPart || !user ? [] : groups.filter((g) => g.members.includes(user.name)).map((g) => g.gid)
  return {
    uid: user?.uid ?? number ?? 0,
    gid,
    groups: [...new Set([gid, ...further, ...add.map(findGroup)])],
    home: user?.home || '/',
  }
}

function idNumber(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined
  const number = Number(text)
  if (number > 0x7fffffff) {
    throw new BerthError(
      'INVALID',
      `Cannot use ${text} as an id: uids and gids must be in range 0-2147483647`,
    )
  }
  return number
}

function parsePasswd(text: string): Passwd[] {
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid, , home] = line.split(':')
    if (!name || !/^\d+$/.test(uid ?? '') || !/^\d+$/.test(gid ?? '')) return []
    return [{ name, uid: Number(uid), gid: Number(gid), home: home ?? '' }]
  })
}

function parseGroup(text: string): { name: string; gid: number; members: string[] }[] {
  return text.split('\n').flatMap((line) => {
    const [name, , gid, members = ''] = line.split(':')
    if (!name || !/^\d+$/.test(gid ?? '')) return []
    return [{ name, gid: Number(gid), members: members.trim().split(',').filter(Boolean) }]
  })
}
