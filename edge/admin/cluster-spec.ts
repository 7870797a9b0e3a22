// What an admin says about a cluster, checked: how it proves who it is, and what it may publish.

import type { JWK } from 'jose'
import * as z from 'zod'
import { Namespace } from '../../crds/name.ts'
import { type Allowance, type Cluster, MAX_TOKEN_SECONDS } from '../documents/clusters.ts'

const DEFAULT_SUBJECT = 'system:serviceaccount:toolhive-system:waggle-agent-uplink'
const MAX_LIST = 256
const MAX_KEYS = 32

const everything = z.literal('*')
const list = <S extends z.ZodType<string>>(item: S) => z.array(item).max(MAX_LIST)

const Allow = z.strictObject({
  namespaces: list(z.union([everything, Namespace], 'must be "*" or the name of a namespace'))
    .min(1)
    .optional(),
  kinds: list(
    z.enum(
      ['*', 'MCPServer', 'MCPRemoteProxy', 'VirtualMCPServer'],
      'must be "*", MCPServer, MCPRemoteProxy or VirtualMCPServer; other kinds need no permission',
    ),
  )
    .min(1)
    .optional(),
  /** None where the list is empty. */
  virtualServers: list(
    z
      .string()
      .regex(
        /^(\*|[a-z0-9.*-]{1,253}\/[a-z0-9.*-]{1,253})$/u,
        'must be "*" or namespace/name, where * matches anything',
      ),
  ).optional(),
})

const text = z.string().min(1).max(2048)
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/** A public key: whoever uploads a private one has just given it away, and should know. */
const PublicKey = z
  .looseObject({
    kty: z.enum(['RSA', 'EC', 'OKP']),
    kid: text.optional(),
    alg: text.optional(),
    use: text.optional(),
    n: text.optional(),
    e: text.optional(),
    crv: text.optional(),
    x: text.optional(),
    y: text.optional(),
  })
  .refine((key) => PRIVATE.every((part) => key[part] === undefined), 'is a private key; upload the public part only')
  .transform(({ kty, kid, alg, use, n, e, crv, x, y }): JWK => {
    const known = { kty, kid, alg, use, n, e, crv, x, y }
    return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined))
  })

const Spec = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('join-token'), allow: Allow.optional() }),
  z
    .strictObject({
      method: z.literal('kubernetes-oidc'),
      issuer: text,
      jwks: z.object({ keys: z.array(PublicKey).min(1).max(MAX_KEYS) }).optional(),
      subject: z
        .string()
        .regex(
          /^system:serviceaccount:[a-z0-9-]{1,63}:[a-z0-9.-]{1,253}$/u,
          'must be system:serviceaccount:NAMESPACE:NAME',
        )
        .optional(),
      allow: Allow.optional(),
    })
    .refine(({ issuer, jwks }) => jwks !== undefined || publishes(issuer), {
      path: ['issuer'],
      error: 'must be an https URL that publishes its keys, unless "jwks" has them',
    }),
])

/** Plain http is for development: the edge fetches keys that way on its own machine only. */
function publishes(issuer: string): boolean {
  return /^https:\/\/[^/]|^http:\/\/(127\.0\.0\.1|localhost|\[::1\])[:/]/u.test(issuer) && URL.canParse(issuer)
}

const TokenSpec = z.strictObject({ seconds: z.int().min(1).max(MAX_TOKEN_SECONDS).optional() })

const ALL: Allowance = { namespaces: ['*'], kinds: ['*'], virtualServers: ['*'] }

export type ClusterSpec = Pick<Cluster, 'method' | 'allow' | 'subject'> & Partial<Pick<Cluster, 'issuer' | 'jwks'>>

type Checked<T> =
  | { readonly ok: true; readonly spec: T }
  | { readonly ok: false; readonly problems: { path: string; message: string }[] }

/** What is said about the entry; what is not said stays as it is in `known`, or is the default for a new one: everything allowed. */
export function clusterSpec(input: unknown, known: Cluster | undefined): Checked<ClusterSpec> {
  const checked = check(Spec, input)
  if (!checked.ok) return checked
  const { method, allow = {} } = checked.spec
  const said = Object.fromEntries(Object.entries(allow).filter(([, list]) => list !== undefined))
  const shared = { method, allow: { ...(known?.allow ?? ALL), ...said } }
  if (checked.spec.method === 'join-token') return { ok: true, spec: { ...shared, subject: DEFAULT_SUBJECT } }
  const { issuer, jwks, subject = known?.subject ?? DEFAULT_SUBJECT } = checked.spec
  return { ok: true, spec: { ...shared, issuer, subject, ...(jwks !== undefined && { jwks }) } }
}

export function tokenSpec(input: unknown): Checked<z.output<typeof TokenSpec>> {
  return check(TokenSpec, input)
}

function check<S extends z.ZodType>(schema: S, input: unknown): Checked<z.output<S>> {
  const parsed = schema.safeParse(input)
  if (parsed.success) return { ok: true, spec: parsed.data }
  return {
    ok: false,
    problems: parsed.error.issues.slice(0, 20).map(({ path, message }) => ({ path: path.join('.'), message })),
  }
}
