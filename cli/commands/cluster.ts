// `waggle cluster`: which clusters may join the edge, how each proves who it is, and what it may publish.

import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { connect } from '../admin.ts'
import { clusterKind, readIssuer } from '../cluster.ts'
import { type Command, edgeOptions, parse } from '../command.ts'
import { Failure, codeOf, messageOf, usage } from '../failure.ts'
import { type Io, printable } from '../io.ts'
import { duration } from '../duration.ts'
import { age, table } from '../table.ts'

const Allow = z.object({
  namespaces: z.array(z.string()),
  kinds: z.array(z.string()),
  virtualServers: z.array(z.string()),
})
const Warnings = z.array(z.object({ message: z.string() })).default([])
const Entry = z.looseObject({
  id: z.string(),
  method: z.string(),
  issuer: z.string().optional(),
  subject: z.string().optional(),
  createdAt: z.string(),
  revokedAt: z.string().optional(),
  keys: z.array(z.unknown()),
  allow: Allow,
  /** The address that uplinks must use: it is part of what they sign. It is printed as part of a command, so it must be plain. */
  edge: z
    .string()
    .regex(/^https?:\/\/[\w.:[\]/-]+$/)
    .optional()
    .catch(undefined),
  action: z.string().optional(),
  warnings: Warnings,
})
type Entry = z.infer<typeof Entry>
const List = z.object({ items: z.array(Entry) })
const Token = z.object({ token: z.string().regex(/^[A-Za-z0-9_-]{43}$/), expires: z.string() })

/** What the chart calls the ServiceAccount of the uplink, and the Secret that the printed commands make for the join token. */
const ACCOUNT = 'waggle-agent-uplink'
const SECRET = 'waggle-join-token'

export const cluster: Command = {
  summary: 'let clusters join, list, drain or revoke them',
  help: `waggle cluster add NAME --from-kubeconfig [--context NAME] [OPTIONS]
waggle cluster add NAME --issuer URL [--jwks FILE] [OPTIONS]
waggle cluster add NAME --join-token [OPTIONS]
waggle cluster token NAME [--for 1h]
waggle cluster list [-o json]
waggle cluster drain NAME
waggle cluster revoke NAME
waggle cluster delete NAME

How the cluster proves who it is:
  --from-kubeconfig by tokens that its API server signs; issuer and public keys are read from the cluster of the kubeconfig
  --context         … or of this context
  --issuer          by tokens of this issuer, which publishes its keys (EKS, GKE, AKS) …
  --jwks            … or whose keys are in this file, as \`kubectl get --raw /openid/v1/jwks\` prints them
  --join-token      by a token that is used once, where neither will do; \`waggle cluster token\` makes it

What it may publish; without: everything. Each may be given several times.
  --allow-namespace       a namespace
  --allow-kind            a kind: MCPServer, MCPRemoteProxy or VirtualMCPServer
  --allow-virtual-server  NAMESPACE/NAME of a virtual server; * matches anything

  -n, --namespace   of the Helm release in the cluster (default: toolhive-system)
      --subject     the uplink's ServiceAccount, where it is not the chart's: system:serviceaccount:NAMESPACE:NAME
      --for         how long the token may be used, at most 1h

Adding a cluster again changes what is said and leaves the rest. Draining one has its uplinks open other links, such as past a load
balancer that is about to go; calls under way end where they are. A revoked cluster is cut off at once and never joins again;
delete it to add it anew.`,
  async run([verb, ...argv], io) {
    if (verb === 'add') return add(argv, io)
    if (verb === 'token') return token(argv, io)
    if (verb === 'list' || verb === 'ls') return list(argv, io)
    if (verb === 'drain') return drain(argv, io)
    if (verb === 'revoke') return end(argv, io, 'revoke')
    if (verb === 'delete' || verb === 'rm') return end(argv, io, 'delete')
    throw usage(
      verb === undefined ? 'add, token, list, drain, revoke or delete?' : `there is no \`waggle cluster ${verb}\``,
      'run `waggle help cluster`',
    )
  },
}

async function add(argv: readonly string[], io: Io): Promise<void> {
  const { values, positionals } = parse(argv, {
    ...edgeOptions,
    'from-kubeconfig': { type: 'boolean' },
    context: { type: 'string' },
    issuer: { type: 'string' },
    jwks: { type: 'string' },
    'join-token': { type: 'boolean' },
    'allow-namespace': { type: 'string', multiple: true },
    'allow-kind': { type: 'string', multiple: true },
    'allow-virtual-server': { type: 'string', multiple: true },
    namespace: { type: 'string', short: 'n' },
    subject: { type: 'string' },
  })
  const name = one(positionals)
  const namespace = labelOf('namespace', values.namespace ?? 'toolhive-system')
  const identity = await identityOf(values, io)
  const isToken = identity.method === 'join-token'
  if (isToken && values.subject !== undefined) throw usage('a join token has no --subject', 'leave it out')
  const allow = {
    ...(values['allow-namespace'] !== undefined && { namespaces: values['allow-namespace'] }),
    ...(values['allow-kind'] !== undefined && {
      kinds: values['allow-kind'].map((kind) => (kind === '*' ? kind : clusterKind(kind))),
    }),
    ...(values['allow-virtual-server'] !== undefined && { virtualServers: values['allow-virtual-server'] }),
  }
  // Unsaid it stays as it is, or is that of the chart in its usual namespace.
  const chart = values.namespace === undefined ? undefined : `system:serviceaccount:${namespace}:${ACCOUNT}`
  const subject = values.subject ?? chart
  const admin = await connect(io, values.edge)
  const body = {
    ...identity,
    ...(!isToken && subject !== undefined && { subject }),
    ...(Object.keys(allow).length > 0 && { allow }),
  }
  const entry = await admin.request('PUT', `clusters/${name}`, Entry, { body })
  warn(entry, io)
  io.err(`cluster ${name} ${entry.action ?? 'stored'}: joins ${how(entry)}; may publish ${what(entry)}`)
  io.err('\nIn the cluster:\n')
  for (const line of commands(entry.edge ?? admin.edge, name, namespace, isToken)) io.out(line)
}

async function identityOf(
  given: { 'from-kubeconfig'?: boolean; context?: string; issuer?: string; jwks?: string; 'join-token'?: boolean },
  io: Io,
): Promise<{ method: string; issuer?: string; jwks?: unknown }> {
  const { issuer, jwks, context } = given
  const isAsked = given['from-kubeconfig'] === true || context !== undefined
  const ways = [isAsked, issuer !== undefined || jwks !== undefined, given['join-token'] === true]
  if (ways.filter(Boolean).length !== 1)
    throw usage(
      'how does the cluster prove who it is?',
      'say one of --from-kubeconfig, --issuer URL [--jwks FILE] and --join-token',
    )
  if (given['join-token'] === true) return { method: 'join-token' }
  if (isAsked) return { method: 'kubernetes-oidc', ...(await readIssuer(io, context)) }
  if (issuer === undefined)
    throw usage(
      'whose keys are these?',
      'name the issuer with --issuer: `kubectl get --raw /.well-known/openid-configuration`',
    )
  return { method: 'kubernetes-oidc', issuer, ...(jwks !== undefined && { jwks: await load(jwks) }) }
}

function commands(edge: string, name: string, namespace: string, isToken: boolean): string[] {
  const set = [`edge.url=${edge}`, `edge.cluster=${name}`, ...(isToken ? [`edge.joinTokenSecret=${SECRET}`] : [])]
  return [
    `helm upgrade --install waggle-crds charts/waggle-crds -n ${namespace} --create-namespace`,
    ...(isToken
      ? [
          `waggle cluster token ${name} | kubectl create secret generic ${SECRET} -n ${namespace} --from-file=token=/dev/stdin`,
        ]
      : []),
    `helm upgrade --install waggle-agent charts/waggle-agent -n ${namespace} ${set.map((one) => `--set ${one}`).join(' ')}`,
  ]
}

async function token(argv: readonly string[], io: Io): Promise<void> {
  const { values, positionals } = parse(argv, { ...edgeOptions, for: { type: 'string' } })
  const name = one(positionals)
  const seconds = duration(values.for ?? '1h')
  if (seconds > 3600) throw usage(`--for ${values.for ?? ''} is too long`, 'a token lasts an hour at most')
  const admin = await connect(io, values.edge)
  const { token: made, expires } = await admin.request('POST', `clusters/${name}/token`, Token, { body: { seconds } })
  // Alone on stdout, so that it can go into a Secret without passing a screen or a shell's history.
  io.out(made)
  io.err(`one cluster may join as ${name} with it, once, until ${expires.replace('.000', '')}; it is not shown again`)
}

async function list(argv: readonly string[], io: Io): Promise<void> {
  const { values } = parse(argv, { ...edgeOptions, output: { type: 'string', short: 'o' } })
  if (values.output !== undefined && values.output !== 'json')
    throw usage(`there is no output ${JSON.stringify(values.output)}`, 'use json')
  const { items } = await (await connect(io, values.edge)).request('GET', 'clusters', List)
  if (values.output === 'json') return io.out(JSON.stringify(items, null, 2))
  if (items.length === 0) return io.err('no clusters yet: `waggle cluster add` lets one join')
  const rows = items.map((entry) => [
    entry.id,
    entry.revokedAt === undefined ? how(entry) : 'revoked',
    what(entry),
    age(entry.createdAt, Date.now()),
  ])
  for (const line of table([['NAME', 'JOINS', 'MAY PUBLISH', 'AGE'], ...rows])) io.out(line)
}

async function drain(argv: readonly string[], io: Io): Promise<void> {
  const { values, positionals } = parse(argv, edgeOptions)
  const name = one(positionals)
  await (await connect(io, values.edge)).request('POST', `clusters/${name}/drain`, z.object({ id: z.string() }))
  io.out(`cluster/${name} drained`)
}

async function end(argv: readonly string[], io: Io, verb: 'revoke' | 'delete'): Promise<void> {
  const { values, positionals } = parse(argv, edgeOptions)
  const name = one(positionals)
  const admin = await connect(io, values.edge)
  const Ended = z.object({ warnings: Warnings })
  const done =
    verb === 'revoke'
      ? await admin.request('POST', `clusters/${name}/revoke`, Ended)
      : await admin.request('DELETE', `clusters/${name}`, Ended)
  warn(done, io)
  io.out(`cluster/${name} ${verb}d`)
}

function how({ method, issuer, keys }: Entry): string {
  if (method === 'kubernetes-oidc') return `by tokens of ${issuer ?? 'its issuer'}`
  return keys.length > 0 ? 'by its key' : 'by join token'
}

function what({ allow }: Entry): string {
  const { namespaces, kinds, virtualServers } = allow
  const all = (list: readonly string[]): boolean => list.includes('*')
  const parts = [
    all(kinds) ? '' : kinds.join(', '),
    all(namespaces) ? '' : `in ${namespaces.join(', ')}`,
    all(virtualServers) ? '' : `virtual servers ${virtualServers.join(', ')}`,
  ].filter((part) => part !== '')
  return parts.length === 0 ? 'everything' : parts.join('; ')
}

function warn({ warnings }: { warnings: { message: string }[] }, io: Io): void {
  for (const { message } of warnings) io.err(`warning: ${printable(message)}`)
}

function one([name, more]: readonly string[]): string {
  if (name === undefined || more !== undefined) throw usage('which cluster?', 'give one name')
  return labelOf('cluster', name)
}

function labelOf(kind: string, name: string): string {
  if (name.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name)) return name
  throw usage(`${kind} ${JSON.stringify(name)} is not a name`, 'use at most 63 lower-case letters, digits and "-"')
}

async function load(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Failure(`cannot read ${path}: ${codeOf(error) === 'ENOENT' ? 'no such file' : messageOf(error)}`)
  })
  try {
    return JSON.parse(text)
  } catch {
    throw new Failure(`${path} is not JSON`, 'write it with `kubectl get --raw /openid/v1/jwks > FILE`')
  }
}
