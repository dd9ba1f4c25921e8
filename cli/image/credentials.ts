import {
  dockerConfigFile,
  findCredentials,
  helmRegistryConfigFile,
} from '../../engine/distribution/credentials.ts'
import { parseReference } from '../../engine/distribution/reference.ts'

/**
 * The `X-Registry-Auth` header for an image: from docker's config.json (`DOCKER_CONFIG`) and its credential helpers,
 * run as the caller, then from where `berth registry login` and helm keep theirs. Undefined when there are none.
 */
export async function registryAuth(image: string): Promise<string | undefined> {
  const { registry } = parseReference(image)
  const found = await findCredentials(registry, [dockerConfigFile(), helmRegistryConfigFile()])
  if (!found) return undefined
  const serveraddress = registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry
  const secret =
    'identityToken' in found
      ? { identitytoken: found.identityToken }
      : 'registryToken' in found
        ? { registrytoken: found.registryToken }
        : found
  return Buffer.from(JSON.stringify({ ...secret, serveraddress })).toString('base64url')
}
