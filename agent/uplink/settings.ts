// What an uplink is told by the chart, from the environment. Every error names its variable.

import { reading, type Environment } from '../environment.ts'

export interface UplinkSettings {
  readonly namespace: string
  /** The pod: its name for the lease, its uid for the edge. */
  readonly pod: string
  readonly replica: string
  /** Watched namespaces; undefined: all. */
  readonly namespaces: readonly string[] | undefined
  readonly cluster: string
  /** Without a slash at its end. */
  readonly edge: string
  /** File with a token of the ServiceAccount for the edge, where the cluster joins by it. */
  readonly accountToken: string | undefined
  /** File with a join token; it may be gone once the cluster has joined. */
  readonly joinToken: string | undefined
  /** Folder of files with PEM certificates to trust for the edge besides the system's. */
  readonly extraCa: string | undefined
  /** Names of objects in `namespace` that the chart made. */
  readonly lease: string
  readonly secret: string
  readonly keysConfigMap: string
  /** How long calls under way may take when the pod is told to end. */
  readonly graceMs: number
  readonly healthPort: number
  readonly metricsPort: number
}

export function readUplinkSettings(environment: Environment): UplinkSettings {
  const { text, required, list, number, port } = reading(environment)
  const namespaces = list('WATCH_NAMESPACE')
  const accountToken = text('WAGGLE_EDGE_TOKEN_FILE')
  const joinToken = text('WAGGLE_JOIN_TOKEN_FILE')
  if (accountToken !== undefined && joinToken !== undefined)
    throw new Error('WAGGLE_JOIN_TOKEN_FILE: does not go with WAGGLE_EDGE_TOKEN_FILE; a cluster joins in one way')
  return {
    namespace: required('POD_NAMESPACE'),
    pod: required('POD_NAME'),
    replica: required('POD_UID'),
    namespaces: namespaces.length === 0 ? undefined : namespaces,
    cluster: required('WAGGLE_CLUSTER'),
    edge: edgeUrl(required('WAGGLE_EDGE_URL')),
    accountToken,
    joinToken,
    extraCa: text('WAGGLE_EXTRA_CA_DIR'),
    lease: required('WAGGLE_UPLINK_LEASE'),
    secret: required('WAGGLE_UPLINK_SECRET'),
    keysConfigMap: required('WAGGLE_UPLINK_KEYS_CONFIGMAP'),
    graceMs: number('WAGGLE_GRACE_SECONDS', 30, 600) * 1000,
    healthPort: port('WAGGLE_HEALTH_PORT', 8081),
    metricsPort: port('WAGGLE_METRICS_PORT', 8080),
  }
}

/** Plain http is for edges on the same machine: what travels is not meant for anybody on the way. */
function edgeUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isPlain = url?.protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  if (
    url === undefined ||
    (url.protocol !== 'https:' && !isPlain) ||
    url.search !== '' ||
    url.hash !== '' ||
    url.username !== ''
  )
    throw new Error('WAGGLE_EDGE_URL: must be an https URL such as https://mcp.example.com')
  return text.replace(/\/+$/u, '')
}
