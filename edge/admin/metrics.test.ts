import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exposition } from './metrics.ts'
import { clusterStatus } from './sample.ts'

const NOW = Date.UTC(2026, 10, 1)
const link = {
  connection: 'c1',
  replica: 'r1',
  version: '0.1.0',
  isLeader: true,
  isDraining: false,
  isSuspect: false,
  since: NOW - 60_000,
  expires: NOW + 60_000,
  lastSeen: NOW - 1_500,
  latencyMs: 12,
  calls: 2,
}
const status = clusterStatus('dev', {
  wakes: 3,
  state: 'online',
  calls: 2,
  tally: { calls: 40, faults: { lost: 1 } },
  servers: 5,
  connections: [
    link,
    { ...link, connection: 'c2', isLeader: false, isSuspect: true, lastSeen: NOW - 9_000, latencyMs: 80 },
  ],
})

test('a cluster is told in numbers, and one whose hub says nothing by that alone', () => {
  const lines = exposition(
    '1.2.3',
    new Map([
      ['dev', status],
      ['gone', undefined],
    ]),
    NOW,
  ).split('\n')
  const samples = lines.filter((line) => line !== '' && !line.startsWith('#'))
  assert.deepEqual(samples, [
    'waggle_edge_info{version="1.2.3"} 1',
    'waggle_hub_up{cluster="dev"} 1',
    'waggle_hub_up{cluster="gone"} 0',
    'waggle_cluster_state{cluster="dev",state="online"} 1',
    'waggle_cluster_servers{cluster="dev"} 5',
    'waggle_links{cluster="dev",state="live"} 1',
    'waggle_links{cluster="dev",state="silent"} 1',
    'waggle_links{cluster="dev",state="leaving"} 0',
    'waggle_link_lease_age_seconds{cluster="dev"} 1.5',
    'waggle_link_latency_seconds{cluster="dev"} 0.08',
    'waggle_link_calls{cluster="dev"} 2',
    'waggle_link_calls_total{cluster="dev"} 40',
    'waggle_link_faults_total{cluster="dev",reason="lost"} 1',
    'waggle_hub_wakes_total{cluster="dev"} 3',
  ])
})

test('every sample stands under the help and the type of its name, told once', () => {
  const lines = exposition(
    '1',
    new Map([
      ['dev', status],
      ['prod', { ...status, connections: [] }],
    ]),
    NOW,
  ).split('\n')
  const heads = lines.filter((line) => line.startsWith('# TYPE ')).map((line) => line.split(' ')[2] ?? '')
  assert.equal(new Set(heads).size, heads.length)
  let under = ''
  for (const line of lines.filter((one) => one !== '')) {
    if (line.startsWith('#')) under = line.split(' ')[2] ?? ''
    else assert.equal(/^\w+/.exec(line)?.[0], under)
  }
  assert.equal(lines.at(-1), '')
})

test('without a cluster there is the edge itself', () => {
  assert.match(
    exposition('1', new Map(), NOW),
    /^# HELP waggle_edge_info .*\n# TYPE waggle_edge_info gauge\nwaggle_edge_info\{version="1"\} 1\n$/,
  )
})
