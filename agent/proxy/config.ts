// Text → run config. An operator of another version may have written it: what is unknown passes, what is needed must be
// there, and whatever is wrong is told with its place. The small form of zod: the whole one costs a proxy 10 MB.

import * as z from 'zod/mini'
import type { RunConfig } from '../run-config.ts'

const strings = z.array(z.string())
const name = z.string().check(z.minLength(1))
const record = <T extends z.ZodMiniType>(value: T) => z.record(z.string(), value)
const secret = z.looseObject({ namespace: z.string(), name: name, key: name })
const httpUrl = z.url({ protocol: /^https?$/u })

const credential = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('none') }),
  z.looseObject({ kind: z.literal('header'), header: name, prefix: z.string(), secret }),
  z.looseObject({ kind: z.literal('assertion'), audience: name }),
  z.looseObject({ kind: z.literal('refused'), message: z.string() }),
])

const rule = z.looseObject({
  tools: strings,
  groups: z.optional(strings),
  claims: z.optional(record(strings)),
  scopes: z.optional(strings),
  place: z.optional(z.looseObject({ policy: name, here: z.boolean() })),
  trustHints: z.optional(z.boolean()),
})

const issuer = z.looseObject({
  issuer: name,
  jwksUrl: z.optional(httpUrl),
  introspectionUrl: z.optional(httpUrl),
  clientId: z.optional(z.string()),
  clientSecret: z.optional(secret),
  algorithms: strings,
  clockSkewSeconds: z.number(),
  groupsClaim: z.string(),
  allowHttp: z.boolean(),
  allowPrivate: z.boolean(),
  ca: z.optional(z.string()),
  clusterAuth: z.boolean(),
  subjects: z.optional(strings),
})

const member = z.looseObject({
  server: name,
  workload: name,
  credential,
  excludeAll: z.boolean(),
  filter: z.optional(strings),
  overrides: record(z.looseObject({ name: z.optional(z.string()), description: z.optional(z.string()) })),
  rules: z.array(rule),
  timeoutMs: z.number().check(z.positive()),
  breaker: z.looseObject({ threshold: z.number(), openMs: z.number() }),
})

const server = z.looseObject({
  key: name,
  source: z.string(),
  url: httpUrl,
  transport: z.enum(['streamable-http', 'sse']),
  allowPrivate: z.boolean(),
  ca: z.optional(z.string()),
  catalogUrl: z.optional(httpUrl),
  credential,
  headers: record(z.string()),
  secretHeaders: z.array(z.looseObject({ header: name, secret })),
})

const signer = z.looseObject({
  issuer: name,
  // What a list does not say is not allowed; uses that are unknown here mean nothing here.
  uses: z._default(strings, []),
  jwks: z.looseObject({ keys: z.array(z.looseObject({})) }),
})

const runConfig = z.looseObject({
  format: z.literal(1),
  self: z.looseObject({
    cluster: name,
    kind: z.enum(['MCPServer', 'MCPRemoteProxy', 'VirtualMCPServer']),
    namespace: name,
    name: name,
  }),
  port: z.int().check(z.minimum(0), z.maximum(65_535)),
  prefix: z.string().check(z.regex(/^(?:\/[^/?#]+)*$/u, 'must be empty or a path without a slash at its end')),
  url: httpUrl,
  trustProxyHeaders: z.boolean(),
  endpoint: z.looseObject({
    key: name,
    guard: z.looseObject({
      issuers: z.pipe(
        z.nullable(z.array(issuer)),
        z.transform((value) => value ?? undefined),
      ),
      audience: z.optional(z.string()),
      resource: z.optional(httpUrl),
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
  signers: z.array(signer),
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
  const problems = parsed.error.issues.slice(0, 8).map((issue) => {
    const what = issue.code === 'invalid_type' ? `must be of type ${issue.expected}` : issue.message
    return `${issue.path.join('.') || 'it'}: ${what}`
  })
  throw new Error(`the run config is not valid: ${problems.join('; ')}`)
}
