// Text → run config. An operator of another version may have written it: what is unknown passes, what is needed must be
// there, and whatever is wrong is told with its place.

import { z } from 'zod'
import type { RunConfig } from '../run-config.ts'

const strings = z.array(z.string())
const record = <T extends z.ZodType>(value: T) => z.record(z.string(), value)
const secret = z.looseObject({ namespace: z.string(), name: z.string().min(1), key: z.string().min(1) })
const httpUrl = z.url({ protocol: /^https?$/u })

const credential = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('none') }),
  z.looseObject({ kind: z.literal('header'), header: z.string().min(1), prefix: z.string(), secret }),
  z.looseObject({ kind: z.literal('assertion'), audience: z.string().min(1) }),
  z.looseObject({ kind: z.literal('refused'), message: z.string() }),
])

const rule = z.looseObject({
  tools: strings,
  groups: strings.optional(),
  claims: record(strings).optional(),
  scopes: strings.optional(),
})

const issuer = z.looseObject({
  issuer: z.string().min(1),
  jwksUrl: httpUrl.optional(),
  introspectionUrl: httpUrl.optional(),
  clientId: z.string().optional(),
  clientSecret: secret.optional(),
  algorithms: strings,
  clockSkewSeconds: z.number(),
  groupsClaim: z.string(),
  allowHttp: z.boolean(),
  allowPrivate: z.boolean(),
  ca: z.string().optional(),
  clusterAuth: z.boolean(),
  subjects: strings.optional(),
})

const member = z.looseObject({
  server: z.string().min(1),
  workload: z.string().min(1),
  credential,
  excludeAll: z.boolean(),
  filter: strings.optional(),
  overrides: record(z.looseObject({ name: z.string().optional(), description: z.string().optional() })),
  rules: z.array(rule),
  timeoutMs: z.number().positive(),
  breaker: z.looseObject({ threshold: z.number(), openMs: z.number() }),
})

const server = z.looseObject({
  key: z.string().min(1),
  source: z.string(),
  url: httpUrl,
  transport: z.enum(['streamable-http', 'sse']),
  allowPrivate: z.boolean(),
  ca: z.string().optional(),
  catalogUrl: httpUrl.optional(),
  credential,
  headers: record(z.string()),
  secretHeaders: z.array(z.looseObject({ header: z.string().min(1), secret })),
})

const runConfig = z.looseObject({
  format: z.literal(1),
  self: z.looseObject({
    cluster: z.string().min(1),
    kind: z.enum(['MCPServer', 'MCPRemoteProxy', 'VirtualMCPServer']),
    namespace: z.string().min(1),
    name: z.string().min(1),
  }),
  port: z.int().min(0).max(65_535),
  prefix: z.string().regex(/^(?:\/[^/?#]+)*$/u, 'must be empty or a path without a slash at its end'),
  url: httpUrl,
  trustProxyHeaders: z.boolean(),
  endpoint: z.looseObject({
    key: z.string().min(1),
    guard: z.looseObject({
      issuers: z.array(issuer).optional(),
      audience: z.string().optional(),
      resource: httpUrl.optional(),
      scopes: strings,
    }),
    members: z.array(member),
    aggregation: z.looseObject({
      strategy: z.enum(['prefix', 'priority', 'manual']),
      prefixFormat: z.string(),
      priorityOrder: strings,
      excludeAllTools: z.boolean(),
      defaultToolVisibility: z.enum(['allow', 'deny']),
    }),
    rules: z.array(rule),
  }),
  servers: z.array(server),
  signers: z.array(
    z.looseObject({ issuer: z.string().min(1), jwks: z.looseObject({ keys: z.array(z.looseObject({})) }) }),
  ),
  egressAllow: strings,
  extraCa: z.string(),
  audit: z.looseObject({ enabled: z.boolean() }),
})

/** Throws an Error that names every field that is wrong, and no value. */
export function parseRunConfig(text: string): RunConfig {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error('the run config is not JSON')
  }
  const parsed = runConfig.safeParse(value)
  if (parsed.success) return parsed.data as unknown as RunConfig
  const problems = parsed.error.issues.slice(0, 8).map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`)
  throw new Error(`the run config is not valid: ${problems.join('; ')}`)
}
