import { BerthError } from '../../base/error.ts'

/** Where a daemon listens when nobody says otherwise. */
const defaultSocket = '/run/berth/berth.sock'

/** The socket of `unix:///path`, of a bare absolute path, or berth's own when nothing is given. */
export function parseHost(text: string | undefined): string {
  if (text === undefined || text === '') return defaultSocket
  const path = text.startsWith('unix://') ? text.slice('unix://'.length) : text
  if (path.startsWith('/')) return path
  throw new BerthError('INVALID', `Cannot use ${JSON.stringify(text)} as the daemon's address`, {
    hint: 'write unix:// and an absolute path, such as unix:///run/berth/berth.sock',
  })
}
