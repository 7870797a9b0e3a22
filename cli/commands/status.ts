// `waggle status`: the clusters of an edge, and how the links to them are.

import * as z from 'zod'
import { connect } from '../admin.ts'
import { type Command, edgeOptions, parse } from '../command.ts'
import { usage } from '../failure.ts'
import { printable } from '../io.ts'
import { age, table } from '../table.ts'

const Link = z.looseObject({
  replica: z.string().catch('?'),
  version: z.string().catch('?'),
  isLeader: z.boolean().catch(false),
  isDraining: z.boolean().catch(false),
  isSuspect: z.boolean().catch(false),
  /** Milliseconds since the epoch. */
  since: z.number().optional(),
  lastSeen: z.number().optional(),
  latencyMs: z.number().optional(),
  calls: z.number().catch(0),
})
const Hub = z.looseObject({
  state: z.string().optional(),
  epoch: z.number().optional(),
  /** Those that are listed. */
  servers: z.number().optional(),
  refused: z.object({ at: z.number(), replica: z.string(), reason: z.string() }).optional().catch(undefined),
  connections: z.array(Link).catch([]),
})
const Cluster = z.object({
  id: z.string(),
  method: z.string(),
  revokedAt: z.string().optional(),
  hub: Hub.optional(),
  error: z.string().optional(),
})
const Status = z.object({ version: z.string(), clusters: z.array(Cluster), left: z.number() })

export const status: Command = {
  summary: 'show how clusters and the links to them are',
  help: `waggle status [CLUSTER] [-o json] [--edge URL]

A cluster is online, offline (no link for 45 s; its tools stay listed, calls fail at once) or delisted (10 min).
LEASE is how long ago a link was last heard of, LATENCY how long calls lately took to be answered, their server included.

  -o, --output      json: everything that the edge says`,
  async run(argv, io) {
    const { values, positionals } = parse(argv, { ...edgeOptions, output: { type: 'string', short: 'o' } })
    const [cluster, more] = positionals
    if (more !== undefined) throw usage('one cluster or all', 'give one name or none')
    if (values.output !== undefined && values.output !== 'json')
      throw usage(`there is no output ${JSON.stringify(values.output)}`, 'use json')
    const admin = await connect(io, values.edge)
    const found = await admin.request('GET', 'status', Status, { query: { cluster } })
    if (values.output === 'json') return io.out(JSON.stringify(found, null, 2))
    io.err(`${admin.edge}, version ${found.version}`)
    if (found.clusters.length === 0) return io.err('no clusters yet: `waggle cluster add` lets one join')
    const now = Date.now()
    const rows = found.clusters.map(({ id, revokedAt, hub, error }) => [
      id,
      revokedAt !== undefined ? 'revoked' : (error ?? stateOf(hub)),
      String(hub?.connections.length ?? 0),
      number(hub?.servers),
      number(hub?.epoch),
    ])
    for (const line of table([['CLUSTER', 'STATE', 'LINKS', 'SERVERS', 'EPOCH'], ...rows])) io.out(line)
    for (const { id, hub } of found.clusters)
      if (hub?.refused !== undefined)
        io.err(
          printable(
            `${id}: uplink ${hub.refused.replica} got no link ${ago(hub.refused.at, now)} ago: ${hub.refused.reason}`,
          ),
        )
    if (found.left > 0) io.err(`${found.left} more: name the cluster`)
    const links = found.clusters.flatMap(({ id, hub }) =>
      (hub?.connections ?? []).map((link) => [
        id,
        link.replica,
        link.version,
        roleOf(link),
        ago(link.since, now),
        ago(link.lastSeen, now),
        link.latencyMs === undefined ? '-' : `${Math.round(link.latencyMs)}ms`,
        String(link.calls),
      ]),
    )
    if (links.length === 0) return undefined
    io.out('')
    const head = ['CLUSTER', 'UPLINK', 'VERSION', 'ROLE', 'AGE', 'LEASE', 'LATENCY', 'CALLS']
    for (const line of table([head, ...links])) io.out(line)
    return undefined
  },
}

function roleOf({ isLeader, isDraining, isSuspect }: z.infer<typeof Link>): string {
  const role = isLeader ? 'leader' : 'replica'
  return isSuspect ? `${role}, silent` : isDraining ? `${role}, leaving` : role
}

function stateOf(hub: z.infer<typeof Hub> | undefined): string {
  const { state = 'unregistered', connections = [] } = hub ?? {}
  if (state !== 'unregistered') return state
  return connections.length > 0 ? 'joined, publishes nothing' : 'not connected'
}

const number = (value: number | undefined): string => (value === undefined ? '-' : String(value))

function ago(ms: number | undefined, now: number): string {
  return ms === undefined ? '-' : age(new Date(ms).toISOString(), now)
}
