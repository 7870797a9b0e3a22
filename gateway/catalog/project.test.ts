import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Fault } from '../../protocol/fault.ts'
import type { Access, Rule } from '../policy.ts'
import type { Principal } from '../principal.ts'
import { caller, memberOf } from '../sample.ts'
import { Sealer } from '../seal.ts'
import type { Catalog } from './catalog.ts'
import { DEFAULT_AGGREGATION, merge } from './merge.ts'
import { unite } from './unite.ts'
import { Projection } from './project.ts'
import type { Section } from './server.ts'

const sealer = new Sealer([{ kid: 'k', key: new Uint8Array(32).fill(7) }])
const project = (catalog: Catalog, complete = true) => new Projection(catalog, sealer, complete)
const numbered = (count: number) => Array.from({ length: count }, (_, index) => `t${String(index).padStart(5, '0')}`)

interface List {
  readonly tools: readonly { readonly name: string }[]
  readonly nextCursor?: string
}

async function page(projection: Projection, principal: Principal, cursor?: string): Promise<List> {
  const { result } = await projection.list('tools', principal, 'modern', cursor)
  return JSON.parse(new TextDecoder().decode(result)) as List
}

async function everything(projection: Projection, principal: Principal): Promise<{ names: string[]; pages: number }> {
  const names: string[] = []
  for (let cursor: string | undefined, pages = 1; ; pages += 1) {
    const { tools, nextCursor } = await page(projection, principal, cursor)
    names.push(...tools.map(({ name }) => name))
    if (nextCursor === undefined) return { names, pages }
    cursor = nextCursor
  }
}

const stale = (error: unknown) =>
  error instanceof Fault && error.reason === 'invalid_params' && /cursor/.test(error.message)
const grouped = (tools: readonly string[], rules: readonly Rule[] = [{ tools: ['*1'], groups: ['odd'] }]) =>
  merge([memberOf('ns/a', { tools })], { ...DEFAULT_AGGREGATION, prefixFormat: '' }, rules)

describe('pages', () => {
  test('hold a thousand items, and together all of them once and in order', async () => {
    for (const [count, pages] of [
      [0, 1],
      [1000, 1],
      [1001, 2],
      [2500, 3],
    ] as const) {
      const found = await everything(project(grouped(numbered(count), [])), caller())
      assert.deepEqual([found.pages, found.names], [pages, numbered(count)])
    }
  })

  test('end where a megabyte is full', async () => {
    const tools = numbered(30).map((name) =>
      JSON.stringify({ name, inputSchema: { type: 'object' }, description: 'd'.repeat(100_000) }),
    )
    const found = await everything(project(grouped(tools, [])), caller())
    assert.deepEqual([found.pages, found.names], [3, numbered(30)])
  })

  test('count what the caller sees, and no cursor leads to an empty page', async () => {
    const tools = [...numbered(1000), ...numbered(500).map((name) => `z${name}`)]
    const rules = [{ tools: ['z*'], groups: ['z'] }]
    const projection = project(grouped(tools, rules))
    assert.equal((await everything(projection, caller())).pages, 1)
    assert.equal((await everything(projection, caller([], { groups: ['z'] }))).pages, 2)
    assert.equal((await projection.list('tools', caller(), 'modern', undefined)).count, 1000)
  })
})

describe('cursors', () => {
  const catalog = grouped(numbered(1500))
  const projection = project(catalog)
  const alice = caller()
  const cursor = async () => (await page(projection, alice)).nextCursor ?? assert.fail('one page only')

  test('hold for callers with the same rights, who share their pages', async () => {
    const bob = caller(['other'], { id: 'https://idp bob', subject: 'bob', groups: ['unrelated'] })
    assert.deepEqual(await page(projection, bob, await cursor()), await page(projection, alice, await cursor()))
    const first = await projection.list('tools', alice, 'modern', undefined)
    assert.equal(await projection.list('tools', bob, 'modern', undefined), first)
  })

  test('are refused when a caller with other rights shows them', async () => {
    const odd = caller([], { groups: ['odd'] })
    await assert.rejects(page(projection, odd, await cursor()), stale)
  })

  test('are refused when the catalog has changed', async () => {
    await assert.rejects(page(project(grouped(numbered(1501))), alice, await cursor()), stale)
    await page(project(grouped(numbered(1500))), alice, await cursor())
  })

  test('are refused in another list', async () => {
    for (const section of ['prompts', 'resources', 'templates'] as const satisfies readonly Section[])
      await assert.rejects(projection.list(section, alice, 'modern', await cursor()), stale)
  })

  test('are refused when they are not ours', async () => {
    const good = await cursor()
    const state = await sealer.seal('state', { v: catalog.version, p: '', s: 'tools', at: 0 })
    for (const bad of ['', 'x', '0', good.slice(0, -2), `${good}A`, state, await sealer.seal('cursor', 'text')])
      await assert.rejects(page(projection, alice, bad), stale, bad)
  })
})

describe('what is listed', () => {
  test('are exactly the items whose groups and claims hold, whatever their scopes', async () => {
    const group = fc.constantFrom<string>('g', 'h')
    const rule: fc.Arbitrary<Rule> = fc
      .tuple(fc.constantFrom('a', 'b', '*', 'a*'), fc.subarray(['g', 'h']), fc.boolean(), fc.boolean())
      .map(([glob, groups, byGroup, scoped]) => ({
        tools: [glob],
        ...(byGroup && { groups }),
        ...(scoped && { scopes: ['s'] }),
      }))
    await fc.assert(
      fc.asyncProperty(fc.array(rule, { maxLength: 3 }), fc.uniqueArray(group), async (rules, groups) => {
        const { names } = await everything(project(grouped(['a', 'ab', 'b'], rules)), caller([], { groups }))
        const matches = (glob: string, name: string) =>
          glob === '*' || glob === name || (glob === 'a*' && name[0] === 'a')
        const expected = ['a', 'ab', 'b'].filter((name) =>
          rules
            .filter(({ tools: [glob = ''] }) => matches(glob, name))
            .every((one) => one.groups?.some((each) => groups.includes(each)) ?? true),
        )
        assert.deepEqual(names, expected)
      }),
    )
  })

  test('depends on which endpoints admit the caller, where a catalog spans several', async () => {
    const access = (issuer: string): Access => ({ issuers: [issuer], scopes: ['mcp'] })
    const part = (key: string, issuer: string, tools: string[]) => ({
      key,
      access: access(issuer),
      catalog: merge([memberOf('ns/s', { tools }, { filter: tools })], DEFAULT_AGGREGATION, []),
    })
    const projection = project(
      unite([part('ns/one', 'https://idp', ['a', 'b']), part('ns/two', 'https://other', ['b', 'c'])]),
    )
    const of = async (issuer: string, scopes = ['mcp']) =>
      (await everything(projection, caller(scopes, { issuer }))).names
    assert.deepEqual(await of('https://idp'), ['s_a', 's_b'])
    assert.deepEqual(await of('https://other'), ['s_b', 's_c'])
    assert.deepEqual(await of('https://third'), [])
    assert.deepEqual(await of('https://idp', []), [])
  })
})

test('modern results say how long they hold, and legacy ones do not', async () => {
  const text = async (projection: Projection, era: 'legacy' | 'modern') =>
    new TextDecoder().decode((await projection.list('prompts', caller(), era, undefined)).result)
  const catalog = grouped([])
  assert.equal(await text(project(catalog), 'legacy'), '{"prompts":[]}')
  const modern = JSON.parse(await text(project(catalog), 'modern')) as Record<string, unknown>
  assert.deepEqual([modern['resultType'], modern['cacheScope']], ['complete', 'private'])
  assert.ok(Number(modern['ttlMs']) > 0)
  assert.ok(project(catalog, false).ttlMs < project(catalog).ttlMs)
})
