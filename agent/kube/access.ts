// Where the API server is and how one proves who one is: a pod's service account, or a kubeconfig.
// `@kubernetes/client-node` is loaded only for a kubeconfig; in a cluster three files say everything.

import { readFile } from 'node:fs/promises'

export interface Access {
  /** Scheme, host and port, with a path where the API server is published below one. */
  readonly server: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly serverName?: string
  readonly insecure?: boolean
  /** The `authorization` header of the next request; undefined: by certificate, or anonymous. */
  authorization(): Promise<string | undefined>
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'
/** Bound tokens are renewed by the kubelet when four fifths of their life are over; they live ten minutes at least. */
const TOKEN_FRESH_MS = 60_000

/** In a pod: service account, CA and address. Throws with what is missing when this is no pod. */
export async function podAccess(environment: NodeJS.ProcessEnv, folder = SERVICE_ACCOUNT): Promise<Access> {
  const host = environment['KUBERNETES_SERVICE_HOST']
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '443'
  if (host === undefined || host === '') throw new Error('KUBERNETES_SERVICE_HOST: not set; is this a pod?')
  const ca = await readFile(`${folder}/ca.crt`, 'utf8')
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca,
    authorization: tokenFile(`${folder}/token`),
  }
}

/** A bearer token from a file, read again once a minute. When reading fails, the last one serves on. */
export function tokenFile(
  path: string,
  now: () => number = () => performance.now(),
): () => Promise<string | undefined> {
  let header: string | undefined
  let readAt = Number.NEGATIVE_INFINITY
  return async () => {
    if (now() - readAt < TOKEN_FRESH_MS) return header
    try {
      header = `Bearer ${(await readFile(path, 'utf8')).trim()}`
      readAt = now()
    } catch (error) {
      if (header === undefined) throw error
    }
    return header
  }
}

/** From a kubeconfig: `path`, else `KUBECONFIG`, else the home folder's; `context`, else its current one. */
export async function kubeconfigAccess(options: { path?: string; context?: string } = {}): Promise<Access> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  if (options.path === undefined) config.loadFromDefault()
  else config.loadFromFile(options.path)
  if (options.context !== undefined) config.setCurrentContext(options.context)
  const cluster = config.getCurrentCluster()
  if (cluster === null) throw new Error(`kubeconfig: context "${config.getCurrentContext()}" names no cluster`)
  // A real https agent is made here and thrown away; only what it was made of is of interest.
  const read = async (): Promise<Credentials> => {
    const found: Credentials = {}
    await config.applyToHTTPSOptions(found)
    return found
  }
  const first = await read()
  return {
    server: cluster.server,
    ...(first.ca !== undefined && { ca: String(first.ca) }),
    ...(first.cert !== undefined && { cert: String(first.cert) }),
    ...(first.key !== undefined && { key: String(first.key) }),
    ...(cluster.tlsServerName !== undefined && { serverName: cluster.tlsServerName }),
    ...(cluster.skipTLSVerify && { insecure: true }),
    authorization: async () => {
      const { headers, auth } = await read()
      if (auth !== undefined) return `Basic ${Buffer.from(auth).toString('base64')}`
      return headers?.['Authorization']
    },
  }
}

interface Credentials {
  ca?: string | Buffer
  cert?: string | Buffer
  key?: string | Buffer
  auth?: string
  headers?: Record<string, string>
}

/** A pod's access where there is one, else the kubeconfig's. */
export async function findAccess(environment: NodeJS.ProcessEnv): Promise<Access> {
  return environment['KUBERNETES_SERVICE_HOST'] === undefined ? kubeconfigAccess() : podAccess(environment)
}
