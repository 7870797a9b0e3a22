// Anything at all at the edge, and anything at all from a server: first what once found something, then what nobody has tried
// yet. `FUZZ_REQUESTS` makes it longer, `FUZZ_SEED` repeats a run; `node test/fuzz/main.ts` is the long one.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { campaign, generate, replay } from './campaign.ts'
import { parseCases } from './case.ts'
import type { Case } from './case.ts'
import { startWorld } from './world.ts'
import type { World } from './world.ts'

const requests = Number(process.env['FUZZ_REQUESTS'] ?? 2_000)
const seed = Number(process.env['FUZZ_SEED'] ?? 20_260_728)
const folder = join(import.meta.dirname, 'corpus')

async function corpus(): Promise<Case[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort()
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))
  return texts.flatMap(parseCases)
}

test('a seed and an index make the same case again, and another index another', () => {
  assert.deepEqual(generate(1, 7), generate(1, 7))
  assert.notDeepEqual(generate(1, 7), generate(1, 8))
})

describe('the edge under noise', () => {
  let world: World

  before(async () => {
    world = await startWorld()
  })

  after(async () => {
    await world?.close()
  })

  test('answers what once broke it, and the classics', { timeout: 120_000 }, async () => {
    for (const one of await corpus()) {
      assert.equal(await replay(world, one), undefined, `${one.note}: ${JSON.stringify(one).slice(0, 4000)}`)
    }
  })

  test(`answers whatever comes (${requests} requests)`, { timeout: 120_000 + requests * 100 }, async () => {
    const report = await campaign(world, { requests, seed, concurrency: 16 })
    const found = report.findings.map(({ what, index, one }) => `${what}\ncase ${index}: ${JSON.stringify(one)}`)
    assert.deepEqual(found, [])
    // A run in which nothing gets through would find nothing either.
    for (const generator of ['http', 'envelopes', 'legacy', 'modern', 'admin', 'answers'])
      assert.ok((report.answers.get(`${generator} 2xx`) ?? 0) > 0, `no request of ${generator} succeeded`)
  })
})
