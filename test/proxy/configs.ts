// Run configs for tests, as short as they can be written.

import type { RunConfig, Signer } from '../../agent/run-config.ts'
import type { GuardPlan } from '../../plan/guard.ts'
import type { IssuerPlan } from '../../plan/issuer.ts'
import type { MemberPlan } from '../../plan/member.ts'
import type { ServerPlan } from '../../plan/server.ts'
import type { SigningPair } from './proxy.ts'

export const anyone: GuardPlan = { issuers: undefined, audience: undefined, resource: undefined, scopes: [] }

/** Tokens of an issuer on loopback, for this audience. */
export function tokensOf(issuer: string, audience: string, rest: Partial<IssuerPlan> = {}): GuardPlan {
  const plan: IssuerPlan = {
    issuer,
    jwksUrl: undefined,
    introspectionUrl: undefined,
    clientId: undefined,
    clientSecret: undefined,
    algorithms: ['ES256'],
    clockSkewSeconds: 5,
    groupsClaim: 'groups',
    allowHttp: true,
    allowPrivate: true,
    ca: undefined,
    clusterAuth: false,
    subjects: undefined,
    ...rest,
  }
  return { issuers: [plan], audience, resource: undefined, scopes: [] }
}

export function server(key: string, url: string, rest: Partial<ServerPlan> = {}): ServerPlan {
  return {
    key,
    source: url,
    url,
    transport: 'streamable-http',
    allowPrivate: true,
    ca: undefined,
    catalogUrl: undefined,
    credential: { kind: 'none' },
    headers: {},
    secretHeaders: [],
    ...rest,
  }
}

export function member({ key, credential }: ServerPlan, rest: Partial<MemberPlan> = {}): MemberPlan {
  return {
    server: key,
    workload: key.slice(key.indexOf('/') + 1),
    credential,
    excludeAll: false,
    filter: undefined,
    overrides: {},
    rules: [],
    timeoutMs: 10_000,
    breaker: { threshold: 5, openMs: 15_000 },
    ...rest,
  }
}

interface Parts {
  readonly name?: string
  readonly servers: readonly ServerPlan[]
  readonly members?: readonly MemberPlan[]
  readonly guard?: GuardPlan
  readonly signers?: readonly Signer[]
}

/** A proxy in front of one server. */
export function proxyConfig(
  { name = 'tools', servers, members, guard = anyone, signers = [] }: Parts,
  rest: Partial<RunConfig> = {},
): RunConfig {
  return {
    format: 1,
    self: { cluster: 'test', kind: 'MCPServer', namespace: 'test', name },
    port: 0,
    prefix: '',
    url: `http://mcp-${name}-proxy.test.svc.cluster.local:8080/mcp`,
    trustProxyHeaders: false,
    endpoint: {
      key: `test/${name}`,
      guard,
      members: members ?? servers.map((one) => member(one)),
      aggregation: {
        strategy: 'prefix',
        prefixFormat: '',
        priorityOrder: [],
        excludeAllTools: false,
        defaultToolVisibility: 'allow',
      },
      rules: [],
    },
    servers,
    signers,
    egressAllow: ['127.0.0.0/8'],
    extraCa: '',
    audit: { enabled: true },
    ...rest,
  }
}

/** A virtual server over proxies. */
export function virtualConfig(parts: Parts, rest: Partial<RunConfig> = {}): RunConfig {
  const config = proxyConfig({ name: 'all', ...parts })
  const { endpoint, self } = config
  return {
    ...config,
    self: { ...self, kind: 'VirtualMCPServer' },
    endpoint: { ...endpoint, aggregation: { ...endpoint.aggregation, prefixFormat: '{workload}_' } },
    ...rest,
  }
}

/** A proxy as a member of a virtual server. */
export function proxied(name: string, proxy: { readonly mcp: string; readonly internal: string }): ServerPlan {
  return server(`test/${name}`, proxy.mcp, {
    catalogUrl: `${proxy.internal}/catalog`,
    credential: { kind: 'assertion', audience: `test/test/MCPServer/${name}` },
  })
}

/** The virtual server `all` with this key, as its members trust it. */
export function signer({ publicJwk }: SigningPair, name = 'all'): Signer {
  return { issuer: `test/test/VirtualMCPServer/${name}`, uses: ['call', 'catalog'], jwks: { keys: [publicJwk] } }
}
