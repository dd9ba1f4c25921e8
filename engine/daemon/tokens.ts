import {
  createPrivateKey,
  createPublicKey,
  createSign,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { errnoOf } from '../base/error.ts'
import type { Clock } from '../base/host/clock.ts'
import { ensureFolder, writeFileAtomic } from '../base/host/files.ts'
import type { TokenIssuer } from '../node/ports.ts'

/**
 * Tokens of service accounts: JWTs (RFC 7519) signed with a P-256 key that is made once and kept, 0600, so that a token
 * stays good over restarts of the daemon.
 */
export async function openTokens(file: string, clock: Clock): Promise<TokenIssuer> {
  const key = await readKey(file)
  const kid = createPublicKey(key).export({ format: 'jwk' }).x ?? ''
  return {
    issue: async ({ namespace, name, audience, expirationSeconds }) => {
      const now = Math.floor(clock.now() / 1000)
      return signed(key, kid, {
        iss: `https://${hostname()}`,
        sub: `system:serviceaccount:${namespace}:${name}`,
        aud: [audience ?? 'https://kubernetes.default.svc'],
        iat: now,
        nbf: now,
        exp: now + expirationSeconds,
        'kubernetes.io': { namespace, serviceaccount: { name } },
      })
    },
  }
}

async function readKey(file: string): Promise<KeyObject> {
  try {
    return createPrivateKey(await readFile(file))
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await ensureFolder(dirname(file))
  await writeFileAtomic(file, privateKey.export({ format: 'pem', type: 'pkcs8' }))
  return privateKey
}

function signed(key: KeyObject, kid: string, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ alg: 'ES256', typ: 'JWT', kid })}.${part(claims)}`
  // JWS wants r and s side by side (RFC 7515, appendix A.3), not DER.
  const signature = createSign('sha256').update(text).sign({ key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}
