// Every cell of docs/matrix.md: a real client of each revision, through the edge, at a real server of each kind.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { asks, unaskable } from './asks.ts'
import { calls } from './calls.ts'
import { textOf } from './cell.ts'
import type { Check, Feature } from './cell.ts'
import { changes } from './changes.ts'
import { startOldSse, startStateful, startStateless } from './legacy.ts'
import { startModern } from './modern.ts'
import { resume } from './resume.ts'
import { kinds, nameOf } from './servers.ts'
import type { Kind, Server } from './servers.ts'
import { readLegend, readTable } from './table.ts'
import { revisions, visit } from './visitors.ts'
import type { Revision } from './visitors.ts'

const features: Readonly<Record<string, Feature>> = { ...calls, ...asks, ...changes, ...resume }
const table = await readTable()
const legend = await readLegend()
/** A cell that cannot exist. */
const none = '–'

/** The name of the virtual server, and of the one server behind it, that a client meets. */
function placeOf(kind: Kind, revision: Revision): string {
  const name = nameOf(kind)
  // Cells that change a manifest keep to themselves; elsewhere the clients share a server.
  return kind === 'legacy stateless' ? `${name}-${revision}` : name
}

const manifest = (kind: Kind, name: string, url: string) =>
  entry(name, url, { transport: kind === 'old HTTP+SSE' ? 'sse' : 'streamable-http' })

test('the matrix has every feature for every server and revision, in words that its legend explains', () => {
  for (const kind of kinds) {
    const rows = new Set(table.filter((cell) => cell.kind === kind).map(({ feature }) => feature))
    assert.deepEqual([...rows].sort(), Object.keys(features).sort(), kind)
  }
  const used = new Set(table.map(({ word }) => word))
  assert.deepEqual([...legend].sort(), [...used].sort())
})

describe('matrix', { concurrency: 5 }, () => {
  const places = new Map(kinds.flatMap((kind) => revisions.map((revision) => [placeOf(kind, revision), kind] as const)))
  let servers: Readonly<Record<Kind, Server>>
  let edge: TestEdge

  before(async () => {
    const [modern, stateful, stateless, old] = await Promise.all([
      startModern(),
      startStateful(),
      startStateless(),
      startOldSse(),
    ])
    servers = { modern, 'legacy stateful': stateful, 'legacy stateless': stateless, 'old HTTP+SSE': old }
    edge = await startEdge({
      resources: [...places].flatMap(([place, kind]) => [
        manifest(kind, place, servers[kind].url),
        virtual(place, [place]),
      ]),
    })
    for (const place of places.keys()) await edge.lists(edge.endpoint(place), ['add'])
  })
  after(async () => {
    await edge?.close()
    await Promise.all(Object.values(servers ?? {}).map((server) => server.close()))
  })

  let fetched = 0
  const refetch = async (kind: Kind, place: string): Promise<void> => {
    fetched += 1
    await edge.apply([manifest(kind, place, `${servers[kind].url}?fetched=${fetched}`)])
  }

  /** A client connects, does what `check` does, is still usable and leaves. `silent` ones declare nothing. */
  const meet = async (kind: Kind, revision: Revision, cell: string, check: Check, silent = false): Promise<void> => {
    const place = placeOf(kind, revision)
    const endpoint = edge.endpoint(place)
    const token = await edge.token(endpoint, { sub: `${revision} ${kind}` })
    const visitor = await visit(revision, endpoint, token, silent)
    try {
      const key = `${revision} ${kind} ${cell}`
      await check({ visitor, kind, server: servers[kind], refetch: () => refetch(kind, place), key })
      assert.equal(textOf(await visitor.call('add', { a: 2, b: 3 })), '5', 'the client is left usable')
    } finally {
      visitor.wire.mend()
      await visitor.close()
    }
  }

  for (const kind of kinds) {
    for (const revision of revisions) {
      describe(`${revision} × ${kind}`, { concurrency: 1 }, () => {
        for (const { feature, word } of table.filter((cell) => cell.kind === kind && cell.revision === revision)) {
          if (word === none) continue
          test(`${revision} × ${kind} × ${feature}: ${word}`, { timeout: 120_000 }, async () => {
            const check = features[feature]?.[word]
            assert.ok(check, `nothing is known of "${feature}: ${word}"`)
            await meet(kind, revision, feature, check)
          })
        }
      })
    }
  }

  describe('clients that declare nothing', { concurrency: 1 }, () => {
    for (const kind of kinds) {
      if (kind === 'legacy stateless') continue
      for (const revision of ['2025-11-25', '2026-07-28'] as const) {
        const how = kind === 'modern' && revision === '2026-07-28' ? 'error' : 'text'
        for (const [tool, checks] of Object.entries(unaskable)) {
          test(`${revision}, nothing declared × ${kind} × ${tool}: ${how}`, { timeout: 120_000 }, () =>
            meet(kind, revision, tool, checks[how], true),
          )
        }
      }
    }
  })
})
