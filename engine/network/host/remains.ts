import { isBerthError } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import { decodeLink, dumpLinks, type Link, netlinkRoute } from '../netlink/links.ts'
import { deleteTable, netlinkNetfilter, transaction } from '../netlink/nftables.ts'
import { ForeignChains } from './foreign.ts'
import type { Kernel } from './kernel.ts'
import { Links } from './links.ts'

interface RemainsOptions {
  /** Empty, or six digits that end all names. */
  readonly instance: string
  readonly log: Log
}

/**
 * Takes away what an instance has in the host's network, found by the kernel alone, without a record: accept rules in
 * chains of others, the table, links, bridges (and with a bridge's address the route of services). Idempotent; says
 * what it removed.
 */
export async function removeRemains(
  relay: Kernel,
  { instance, log }: RemainsOptions,
): Promise<readonly string[]> {
  const suffixed = (name: string) => (instance === '' ? name : `${name}-${instance}`)
  const removed: string[] = []
  const foreign = new ForeignChains(relay, { mark: suffixed('berth'), dnsAddress: 0, log })
  const rules = await foreign.ensure(() => [])
  if (rules > 0) removed.push(`${rules} accept rules in chains of others`)
  const table = suffixed('berth')
  const remove = transaction([deleteTable({ family: 'ip', table })])
  try {
    await relay.netlink(netlinkNetfilter, remove, { action: `remove the nftables table "${table}"` })
    removed.push(`nftables table ${table}`)
  } catch (error) {
    if (!isBerthError(error) || error.details?.errno !== 'ENOENT') throw error
  }
  const links = new Links(relay)
  const all = await links.list()
  const bridges = all.filter((link) => bridgeInstance(link) === instance)
  const ports = all.filter(
    ({ name, master }) => isVeth(name) && bridges.some(({ index }) => index === master),
  )
  for (const { name } of [...ports, ...bridges]) {
    await links.remove(name)
    removed.push(`link ${name}`)
  }
  return removed
}

/**
 * The instance whose bridge these namespaces of sandboxes are on; nothing when no link tells. For a root folder that is
 * gone while its sandboxes are not.
 */
export async function instanceOf(relay: Kernel, netns: readonly string[]): Promise<string | undefined> {
  const host = await new Links(relay).list()
  for (const file of netns) {
    for (const { peer } of await linksIn(relay, file)) {
      const port = host.find(({ index, name }) => index === peer && isVeth(name))
      const bridge = port && host.find(({ index }) => index === port.master)
      const instance = bridge && bridgeInstance(bridge)
      if (instance !== undefined) return instance
    }
  }
  return undefined
}

/** The instance that a bridge of berth's is of, by its name; nothing for other links. */
function bridgeInstance({ kind, name }: Link): string | undefined {
  const match = kind === 'bridge' ? /^(?:berth0|bn[0-9a-f]{6})(?:-([0-9a-f]{6}))?$/.exec(name) : null
  return match ? (match[1] ?? '') : undefined
}

const isVeth = (name: string) => /^bv[0-9a-f]{12}$/.test(name)

/** A file that is no namespace any more has no links. */
async function linksIn(relay: Kernel, netns: string): Promise<readonly Link[]> {
  const action = `list links of ${netns}`
  const messages = await relay.netlink(netlinkRoute, dumpLinks(), { netns, action }).catch(() => [])
  return messages.map(decodeLink)
}
