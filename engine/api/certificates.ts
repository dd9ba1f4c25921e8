import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../base/error.ts'
import { ensureFolder, writeFileAtomic } from '../base/host/files.ts'

/** A certificate and its key, PEM. */
export interface KeyPair {
  readonly cert: string
  readonly key: string
}

/** What the loopback listener and its one client need. The authority's key never leaves the folder. */
export interface Certificates {
  readonly ca: string
  readonly server: KeyPair
  readonly client: KeyPair
}

const dayMs = 24 * 3600 * 1000
const authorityDays = 3650
const leafDays = 365
/** Leaves are made anew when less than this is left of them. */
const renewDays = 30

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export interface CertificateOptions {
  /** Made 0700; holds `ca.crt`, `ca.key`, `server.*`, `client.*`, each 0600. */
  readonly folder: string
  readonly now: number
  /** Names and addresses that the server is reached by, beside `localhost`, `127.0.0.1` and `::1`. */
  readonly names?: readonly string[]
}

/**
 * The certificates of `berth kubeconfig`: made at the first call, kept, leaves renewed before they expire. A kubeconfig
 * that was given out stays good for as long as its client certificate.
 */
export async function ensureCertificates(options: CertificateOptions): Promise<Certificates> {
  const { folder, now, names = [] } = options
  await ensureFolder(folder, 0o700)
  const renewAt = now + renewDays * dayMs
  const authority = await kept(folder, 'ca', renewAt, () => makeAuthority(now))
  const leaf = (subject: string, usage: 'server' | 'client', alternatives: readonly string[]) => () =>
    makeLeaf(authority, { subject, usage, alternatives, now })
  const all = ['localhost', '127.0.0.1', '::1', 'kubernetes', 'kubernetes.default', ...names]
  const server = await kept(folder, 'server', renewAt, leaf('CN=berth', 'server', all), authority)
  const client = await kept(
    folder,
    'client',
    renewAt,
    leaf('CN=berth-admin, O=system:masters', 'client', []),
    authority,
  )
  return { ca: authority.cert, server, client }
}

/** What lies in the folder when it is good at `until` and comes from this authority, else made and written. */
async function kept(
  folder: string,
  name: string,
  until: number,
  make: () => Promise<KeyPair>,
  authority?: KeyPair,
): Promise<KeyPair> {
  const [certFile, keyFile] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)]
  const [cert, key] = await Promise.all([readOptional(certFile), readOptional(keyFile)])
  if (cert && key && (await isGood({ cert, key }, until, authority))) return { cert, key }
  const made = await make()
  // The key first: a certificate without its key is seen and made anew, as is one that does not fit its key.
  await writeFileAtomic(keyFile, made.key, 0o600)
  await writeFileAtomic(certFile, made.cert, 0o600)
  return made
}

async function isGood(
  { cert, key }: KeyPair,
  until: number,
  authority: KeyPair | undefined,
): Promise<boolean> {
  try {
    const certificate = new X509Certificate(cert)
    const issuer = authority && new X509Certificate(authority.cert).publicKey
    return (
      certificate.checkPrivateKey(createPrivateKey(key)) &&
      Date.parse(certificate.validTo) > until &&
      (!issuer || certificate.verify(issuer))
    )
  } catch {
    // What cannot be read is made anew.
    return false
  }
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** 86 ms and twenty packages that only this needs. */
async function library() {
  await import('reflect-metadata')
  return import('@peculiar/x509')
}

async function makeAuthority(now: number): Promise<KeyPair> {
  const x509 = await library()
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const name = `CN=berth-ca-${randomBytes(4).toString('hex')}`
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name,
    notBefore: new Date(now - dayMs),
    notAfter: new Date(now + authorityDays * dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: cert.toString('pem'), key: await pemOf(keys.privateKey) }
}

interface LeafOptions {
  readonly subject: string
  readonly usage: 'server' | 'client'
  readonly alternatives: readonly string[]
  readonly now: number
}

async function makeLeaf(
  authority: KeyPair,
  { subject, usage, alternatives, now }: LeafOptions,
): Promise<KeyPair> {
  const x509 = await library()
  const issuer = new x509.X509Certificate(authority.cert)
  const signingKey = await webcrypto.subtle.importKey('pkcs8', derOf(authority.key), algorithm, false, [
    'sign',
  ])
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const names = alternatives.map((value) => ({
    type: /^[\d.]+$|:/.test(value) ? ('ip' as const) : ('dns' as const),
    value,
  }))
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject,
    issuer: issuer.subject,
    notBefore: new Date(now - dayMs),
    notAfter: new Date(now + leafDays * dayMs),
    signingAlgorithm: algorithm,
    signingKey,
    publicKey: keys.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  })
  return { cert: cert.toString('pem'), key: await pemOf(keys.privateKey) }
}

/** Positive and random: the first bit is not set. */
function serial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64')
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/(.{64})/g, '$1\n').trimEnd()}\n-----END PRIVATE KEY-----\n`
}

function derOf(pem: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64'))
}
