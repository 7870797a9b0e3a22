// What a proxy runs: the operator writes it into a ConfigMap, the proxy reads it from there and follows it while it runs.
// It holds no secret: secrets are named, and stand as files that the kubelet keeps up to date.
// What changes a pod (ports, mounted secrets, image) is in the pod's template; everything here is taken up without a restart.

import type { JSONWebKeySet } from 'jose'
import type { AssertionUse } from '../gateway/auth/assertion-verifier.ts'
import type { EndpointPlan } from '../plan/endpoint.ts'
import type { ServerPlan } from '../plan/server.ts'

/** Key of the text in the ConfigMap, and name of the file where the ConfigMap is mounted. */
export const RUN_CONFIG = 'runconfig.json'

/** Where things are in the pod of a proxy. */
export const places = {
  /** The run config, mounted as a volume: what a proxy starts with. */
  config: '/etc/waggle/config',
  /** `<name of the Secret>/<key>` */
  secrets: '/etc/waggle/secrets',
  /** `signing.jwk` (private JWK, ES256) and `sealing` (key ring, as SEALING_KEYS of an edge); both optional. */
  keys: '/etc/waggle/keys',
} as const

/** Who may speak for callers, or read the catalog: virtual servers of this cluster, the edge, the uplink. */
export interface Signer {
  /** `iss` of its assertions: `<cluster>/<namespace>/VirtualMCPServer/<name>`, `edge` or `<cluster>/uplink`. */
  readonly issuer: string
  /** What its assertions are believed for: virtual servers both, the edge `call`, the uplink `catalog`. Without, nothing. */
  readonly uses: readonly AssertionUse[]
  /** Its public keys; more than one while a key is replaced. */
  readonly jwks: JSONWebKeySet
}

export interface RunConfig {
  readonly format: 1
  /** Who this is, in assertions and in the audit trail. */
  readonly self: {
    readonly cluster: string
    readonly kind: 'MCPServer' | 'MCPRemoteProxy' | 'VirtualMCPServer'
    readonly namespace: string
    readonly name: string
  }
  /** Clients connect to this port, at `<prefix>/mcp` and `<prefix>/`. */
  readonly port: number
  readonly prefix: string
  /** Canonical URL for clients in the cluster, `http://mcp-grafana-proxy.platform-tools.svc.cluster.local:8080/mcp`. */
  readonly url: string
  /** `X-Forwarded-*` of the caller are believed when telling it where metadata is. */
  readonly trustProxyHeaders: boolean
  readonly endpoint: EndpointPlan
  /** The servers behind the endpoint: one for a proxy, the members for a virtual server. */
  readonly servers: readonly ServerPlan[]
  /** Whose assertions are accepted here. */
  readonly signers: readonly Signer[]
  /** Hosts (`*.example.com` too), addresses and CIDR ranges that may be reached although they are private, by the cluster's admin. */
  readonly egressAllow: readonly string[]
  /** PEM certificates that are trusted besides the system's, by the cluster's admin. */
  readonly extraCa: string
  readonly audit: { readonly enabled: boolean }
}

/** The text of a run config. Who may enter without a token is said in so many words, `null`: a part that got lost opens nothing. */
export function printRunConfig(config: RunConfig): string {
  return JSON.stringify(config, (key, value: unknown) => (key === 'issuers' && value === undefined ? null : value))
}
