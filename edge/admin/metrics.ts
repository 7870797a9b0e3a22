// Clusters and the links to them as numbers, in the text format of Prometheus (exposition format 0.0.4). What a hub counts begins anew when it
// wakes up, as counters of a process do. Labels are names of clusters and words of ours: nothing that a caller or an uplink can invent.

import type { ClusterStatus } from './host.ts'

type Labels = Readonly<Record<string, string>>
type Sample = readonly [value: number, labels?: Labels]

interface Metric {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly of: (status: ClusterStatus, now: number) => readonly Sample[]
}

const metrics: readonly Metric[] = [
  {
    name: 'waggle_cluster_state',
    type: 'gauge',
    help: '1 for what the cluster is now: online, offline, delisted or unregistered.',
    of: ({ state }) => [[1, { state }]],
  },
  {
    name: 'waggle_cluster_servers',
    type: 'gauge',
    help: 'Servers of the cluster that the edge lists.',
    of: ({ servers }) => (servers === undefined ? [] : [[servers]]),
  },
  {
    name: 'waggle_links',
    type: 'gauge',
    help: 'Links that are open: live, silent for too long, or leaving.',
    of: ({ connections }) => {
      const tally = { live: 0, silent: 0, leaving: 0 }
      for (const { isDraining, isSuspect } of connections)
        tally[isSuspect ? 'silent' : isDraining ? 'leaving' : 'live'] += 1
      return Object.entries(tally).map(([state, count]) => [count, { state }])
    },
  },
  {
    name: 'waggle_link_lease_age_seconds',
    type: 'gauge',
    help: 'Time since any link of the cluster was last heard of.',
    of: ({ connections }, now) => {
      if (connections.length === 0) return []
      const last = Math.max(...connections.map(({ lastSeen }) => lastSeen))
      return [[Math.max(0, now - last) / 1000]]
    },
  },
  {
    name: 'waggle_link_latency_seconds',
    type: 'gauge',
    help: 'How long calls lately took to be answered on the slowest link, their server included.',
    of: ({ connections }) => {
      const known = connections.flatMap(({ latencyMs }) => latencyMs ?? [])
      return known.length === 0 ? [] : [[Math.max(...known) / 1000]]
    },
  },
  {
    name: 'waggle_link_calls',
    type: 'gauge',
    help: 'Calls under way.',
    of: ({ calls }) => [[calls]],
  },
  {
    name: 'waggle_link_calls_total',
    type: 'counter',
    help: 'Calls that were made.',
    of: ({ tally }) => [[tally.calls]],
  },
  {
    name: 'waggle_link_faults_total',
    type: 'counter',
    help: 'Calls that the link failed, by reason.',
    of: ({ tally }) => Object.entries(tally.faults).map(([reason, count]) => [count, { reason }]),
  },
  {
    name: 'waggle_hub_wakes_total',
    type: 'counter',
    help: 'Times that the hub of the cluster began, from sleep or anew.',
    of: ({ wakes }) => [[wakes]],
  },
]

/** `statuses` by cluster; undefined: its hub did not answer. `now` in milliseconds since the epoch. */
export function exposition(
  version: string,
  statuses: ReadonlyMap<string, ClusterStatus | undefined>,
  now: number,
): string {
  const lines: string[] = []
  const write = (name: string, type: Metric['type'], help: string, samples: readonly Sample[]): void => {
    if (samples.length === 0) return
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
    for (const [value, labels = {}] of samples) lines.push(`${name}${braces(labels)} ${value}`)
  }
  write('waggle_edge_info', 'gauge', 'The version that answers.', [[1, { version }]])
  write(
    'waggle_hub_up',
    'gauge',
    '1 if the hub of the cluster answered.',
    [...statuses].map(([cluster, status]) => [status === undefined ? 0 : 1, { cluster }]),
  )
  for (const { name, type, help, of } of metrics) {
    const samples = [...statuses].flatMap(([cluster, status]) =>
      status === undefined ? [] : of(status, now).map(([value, labels]): Sample => [value, { cluster, ...labels }]),
    )
    write(name, type, help, samples)
  }
  return `${lines.join('\n')}\n`
}

function braces(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return pairs.length === 0 ? '' : `{${pairs.join()}}`
}
