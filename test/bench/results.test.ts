import assert from 'node:assert/strict'
import { test } from 'node:test'
import { report, splice } from './report.ts'
import { bars } from './results.ts'
import type { Results } from './results.ts'
import type { Row } from './rounds.ts'

function row(name: string, cpuMs: number, p50 = cpuMs): Row {
  const rounds = { cpuMsByRound: [cpuMs, cpuMs], p50ByRound: [p50, p50] }
  return { name, operations: 10, sent: 12, perSecond: 100, p50, p99: p50 * 2, cpuMs, bytes: 1024, ...rounds }
}

function results(gatewayMs: number): Results {
  const calls = [row('direct', 0.05, 0.1), row('relay', 0.2, 0.5), row('gateway', gatewayMs, 0.5 + gatewayMs)]
  const lists = [row('static', 0.2), row('gateway', gatewayMs)]
  return {
    machine: { cores: 2, node: '24', workerd: '1' },
    calls: [
      { era: 'modern', users: 1, rows: calls },
      { era: 'legacy', users: 1, rows: calls },
    ],
    asks: [{ server: 'legacy', users: 16, rows: calls }],
    link: {
      calls: [1, 16].map((users) => ({
        era: 'modern' as const,
        users,
        rows: [row('http', 0.2), row('link', 0.2, 0.1 + gatewayMs)],
      })),
      flows: [
        {
          name: 'link',
          delay: { p50: 1, p99: 4 },
          blobMibPerSecond: 100,
          flood: { sentMib: 3, grownMib: { edge: 2, uplink: 1 } },
        },
      ],
      streams: 200,
    },
    streams: {
      held: [
        {
          era: 'legacy',
          streams: 1000,
          openSeconds: 2,
          openCpuMs: 1,
          kibPerStream: 20,
          cpuMsPerSecond: { before: 2, after: 12 },
        },
      ],
      objects: 8,
      calls: [{ era: 'modern', users: 16, rows: [row('without', 0.2), row('with', gatewayMs)] }],
    },
    lists: [{ era: 'modern', users: 1, servers: 1, tools: 30, rows: lists }],
    sizes: [10, 2000].map((servers) => ({
      era: 'modern' as const,
      users: 1,
      servers,
      tools: 2000,
      rows: [row('static', 1), row('gateway', servers === 10 ? 1 : gatewayMs * 4)],
    })),
    refreshes: { seen: 0, served: 1 },
    audit: { events: 1, requests: 1 },
    rest: { cpuMsPerSecond: 1, residentMib: 90, relayResidentMib: 60, discoverySeconds: 3 },
    startup: { gatewayMs: 80, staticMs: 40, bundleBytes: 900_000, gzipBytes: 200_000, activeMs: 20 },
    rounds: 2,
  }
}

test('a gateway that is as cheap as its baseline meets every bar', () => {
  assert.deepEqual(
    bars(results(0.2)).filter((bar) => !bar.met),
    [],
  )
})

test('a gateway at 1.75 × the relay misses the modern bar and meets the legacy one', () => {
  const missed = bars(results(0.35)).filter((bar) => !bar.met)
  assert.deepEqual(
    missed.map((bar) => [bar.what, bar.measured]),
    [
      ['CPU per modern `tools/call`, × bare relay', '1.75 (1 users)'],
      ['p50 that the gateway adds to a modern call, 1 user', '0.75 ms'],
      [
        'p50 of `tools/call` over the link, × direct HTTP to the same proxy',
        '2.25 (modern, 1 users), 2.25 (modern, 16 users)',
      ],
      ['CPU per list of 2000 tools, 2000 servers × 10 servers', '1.40'],
    ],
  )
})

test('a bar without measurements is not met', () => {
  const link = { ...results(0.2).link, calls: [] }
  const none = bars({ ...results(0.2), calls: [], sizes: [], link }).filter((bar) => !bar.met)
  assert.equal(none.length, 6)
})

test('a new report replaces the old one and leaves the words around it', () => {
  const once = splice('# Title\n\nWords.\n', report(results(0.2)))
  assert.match(
    once,
    /Words\.[\s\S]*\| CPU per modern `tools\/call`, × bare relay \| ≤ 1\.5 \| 1\.00 \(1 users\) \| yes \|/,
  )
  assert.equal(splice(once, report(results(0.2))), once)
  const twice = splice(`${once}\nAfter.\n`, report(results(0.35)))
  assert.match(twice, /Words\.[\s\S]*\| 1\.75 \(1 users\) \| no \|[\s\S]*After\./)
  assert.doesNotMatch(twice, /\| 1\.00 \(1 users\) \|/)
})
