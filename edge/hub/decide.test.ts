import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { itemKey, MAX_ITEMS, type SnapshotItem, type SnapshotKind } from '../../protocol/snapshot.ts'
import { decodeEdge, encode } from '../../protocol/frame.ts'
import type { Cluster } from '../documents/clusters.ts'
import type { RegisteredItem, Registered, Registry } from '../documents/registry.ts'
import {
  decideSnapshot,
  MAX_CATALOGS,
  readSnapshot,
  settle,
  told,
  virtualOf,
  type ReadBody,
  type Refused,
} from './decide.ts'

const cluster: Cluster = {
  id: 'alpha',
  uid: 'u',
  createdAt: 0,
  method: 'join-token',
  subject: 'system:serviceaccount:waggle-system:waggle-agent-uplink',
  keys: [],
  tokens: [],
  allow: { namespaces: ['*'], kinds: ['*'], virtualServers: ['*'] },
}
const nothing: Registered = { epoch: 0, seq: 0, items: [] }
const around = { registry: new Map(), taken: new Set<string>(), now: 5 }

const digestOf = (text: string) => Buffer.from(text).toString('hex').padEnd(64, '0').slice(0, 64)

function item(kind: SnapshotKind, name: string, more: Partial<SnapshotItem> = {}): SnapshotItem {
  return { kind, namespace: 'test', name, uid: `uid-${name}`, digest: digestOf(`${kind}${name}`), ...more }
}

function bodyOf({ kind, namespace, name }: SnapshotItem, catalog?: string): ReadBody {
  // Only what deciding looks at.
  const resource = { kind, metadata: { namespace, name }, spec: { rules: [] } } as unknown as RegisteredItem['resource']
  return { ok: true, resource, catalog }
}

const bodiesOf = (items: readonly SnapshotItem[], catalog?: string) =>
  new Map(items.map((one) => [one.digest, bodyOf(one, catalog)]))

function register(items: readonly SnapshotItem[], before = nothing, catalog?: string, now = 5): Registered {
  const judged = decideSnapshot(cluster, items, before, new Map())
  const settled = settle('alpha', judged, before, bodiesOf(items, catalog), { ...around, now })
  return { epoch: 1, seq: 1, items: settled.items }
}

const keysOf = (items: readonly Pick<SnapshotItem, 'kind' | 'namespace' | 'name'>[]) => items.map(itemKey)

describe('the text of a snapshot', () => {
  const text = (...items: unknown[]) => JSON.stringify({ format: 1, items })

  test('is read with all its items', () => {
    const items = [item('MCPServer', 'a'), item('MCPGroup', 'b')]
    assert.deepEqual(readSnapshot(text(...items)), { items, dropped: [] })
  })

  test('may name kinds of a newer version, which are dropped alone', () => {
    const newer = item('MCPServer', 'a', { kind: 'MCPNovelty' as SnapshotKind })
    assert.deepEqual(readSnapshot(text(newer, item('MCPServer', 'b'))), {
      items: [item('MCPServer', 'b')],
      dropped: [{ key: 'MCPNovelty/test/a', reason: 'invalid', message: 'is of an unknown kind' }],
    })
  })

  for (const [what, nonsense] of [
    ['no JSON', '{'],
    ['nothing', 'null'],
    ['another format', '{"format":2,"items":[]}'],
    ['no list', '{"format":1,"items":{}}'],
    ['an item that is no object', text(null)],
    ['a namespace that is a path', text(item('MCPServer', 'a', { namespace: '../b' }))],
    ['a name that is a path', text(item('MCPServer', 'a/b'))],
    ['no uid', text(item('MCPServer', 'a', { uid: '' }))],
    ['a digest that is none', text(item('MCPServer', 'a', { digest: 'abc' }))],
    ['an item twice', text(item('MCPServer', 'a'), item('MCPServer', 'a'))],
  ] as const) {
    test(`is refused whole when it is ${what}`, () => {
      assert.equal(typeof readSnapshot(nonsense), 'string')
    })
  }
})

describe('what is taken of a snapshot', () => {
  test('what is new is wanted, what is known is kept, and what is gone is gone', () => {
    const [a, b, c] = [item('MCPServer', 'a'), item('MCPServer', 'b'), item('MCPServer', 'c')]
    const before = register([a, b])
    const changed = { ...b, digest: digestOf('other') }
    const { known, wanted } = decideSnapshot(cluster, [changed, c], before, new Map())
    assert.deepEqual(known, [])
    assert.deepEqual(keysOf(wanted), keysOf([changed, c]))
    assert.deepEqual(keysOf(decideSnapshot(cluster, [a, c], before, new Map()).known), keysOf([a]))
  })

  test('a server of the same name with another uid is another server', () => {
    const a = item('MCPServer', 'a')
    const before = register([a], nothing, 'tools')
    const other = { ...a, uid: 'new' }
    assert.deepEqual(decideSnapshot(cluster, [other], before, new Map()).wanted, [other])
    assert.equal(register([other], before).items[0]?.catalog, undefined)
  })

  for (const [what, allow, one, isAllowed] of [
    ['a namespace that is listed', { namespaces: ['test'] }, item('MCPServer', 'a'), true],
    ['a namespace that is not', { namespaces: ['other'] }, item('MCPServer', 'a'), false],
    ['a kind that is not listed', { kinds: ['MCPRemoteProxy'] }, item('MCPServer', 'a'), false],
    ['a policy, whatever kinds are listed', { kinds: ['MCPRemoteProxy'] }, item('ToolPolicy', 'a'), true],
    ['a policy of another namespace', { namespaces: ['other'] }, item('ToolPolicy', 'a'), false],
    ['a virtual server by its name', { virtualServers: ['test/a*'] }, item('VirtualMCPServer', 'ab'), true],
    ['a virtual server of another name', { virtualServers: ['test/a*'] }, item('VirtualMCPServer', 'b'), false],
    ['a server in the namespace of the admin API', {}, item('MCPServer', 'a', { namespace: 'admin' }), false],
  ] as const) {
    test(`${what} is ${isAllowed ? 'taken' : 'not allowed'}`, () => {
      const limited = { ...cluster, allow: { ...cluster.allow, ...allow } }
      const { wanted, dropped } = decideSnapshot(limited, [one], nothing, new Map())
      assert.equal(wanted.length, isAllowed ? 1 : 0)
      assert.deepEqual(
        dropped.map(({ reason }) => reason),
        isAllowed ? [] : ['not_allowed'],
      )
    })
  }

  test('what was registered before is dropped when it is not allowed any more', () => {
    const a = item('MCPServer', 'a')
    const limited = { ...cluster, allow: { ...cluster.allow, namespaces: ['other'] } }
    assert.deepEqual(decideSnapshot(limited, [a], register([a]), new Map()).known, [])
  })

  test('of too many items servers are left out, and no policy', () => {
    const servers = Array.from({ length: MAX_ITEMS }, (_, at) => item('MCPServer', `s${at}`))
    const { wanted, dropped } = decideSnapshot(cluster, [...servers, item('ToolPolicy', 'p')], nothing, new Map())
    assert.equal(wanted.length, MAX_ITEMS)
    assert.ok(wanted.some(({ kind }) => kind === 'ToolPolicy'))
    assert.deepEqual(
      dropped.map(({ key, reason }) => [key.split('/')[0], reason]),
      [['MCPServer', 'too_many']],
    )
  })

  test('a body that was of no use is not asked for again', () => {
    const a = item('MCPServer', 'a')
    const refused = new Map<string, Refused>([[a.digest, { reason: 'invalid', message: 'spec is required' }]])
    const { wanted, dropped } = decideSnapshot(cluster, [a], nothing, refused)
    assert.deepEqual(wanted, [])
    assert.deepEqual(dropped, [{ key: 'MCPServer/test/a', reason: 'invalid', message: 'spec is required' }])
  })
})

describe('what is registered', () => {
  test('a key keeps the time when it was seen first, as long as it stays', () => {
    const a = item('MCPServer', 'a')
    const first = register([a], nothing, undefined, 10)
    const changed = register([{ ...a, digest: digestOf('other') }], first, undefined, 20)
    assert.equal(changed.items[0]?.registeredAt, 10)
    const gone = register([], changed, undefined, 30)
    assert.equal(register([a], gone, undefined, 40).items[0]?.registeredAt, 40)
  })

  test('a body without a catalog keeps the one that was known', () => {
    const a = item('MCPServer', 'a')
    const first = register([a], nothing, 'tools')
    assert.equal(register([{ ...a, digest: digestOf('other') }], first).items[0]?.catalog, 'tools')
  })

  test('an item whose body does not come stays as it was', () => {
    const a = item('MCPServer', 'a')
    const before = register([a])
    const judged = decideSnapshot(cluster, [{ ...a, digest: digestOf('other') }], before, new Map())
    assert.deepEqual(settle('alpha', judged, before, new Map(), around).items, before.items)
  })

  const target = { kind: 'MCPServer', name: 'a' }
  for (const [what, refusal, left] of [
    ['names its target', { reason: 'invalid', message: 'no', target }, ['MCPGroup/test/g', 'MCPServer/test/b']],
    ['does not say what it is about', { reason: 'invalid', message: 'no' }, ['MCPGroup/test/g']],
  ] as const) {
    for (const when of ['just now', 'before']) {
      test(`a policy that cannot be read and ${what} takes along what it may limit, when it was read ${when}`, () => {
        const policy = item('ToolPolicy', 'p')
        const items = [policy, item('MCPServer', 'a'), item('MCPServer', 'b'), item('MCPGroup', 'g')]
        const refused = new Map<string, Refused>(when === 'before' ? [[policy.digest, refusal]] : [])
        const bodies = new Map<string, ReadBody>([...bodiesOf(items), [policy.digest, { ok: false, ...refusal }]])
        const settled = settle('alpha', decideSnapshot(cluster, items, nothing, refused), nothing, bodies, around)
        assert.deepEqual(keysOf(settled.items), left)
        assert.equal(settled.dropped.length, items.length - left.length)
      })
    }
  }

  test('of two clusters with one virtual server the first has it, and the edge before both', () => {
    const shared = item('VirtualMCPServer', 'shared')
    const by = (at: number, settings = 'other') =>
      ({ version: 'v', state: 'offline', since: 0, virtual: { 'test/shared': { at, settings } } }) as const
    const reasonWith = (registry: Registry, taken = new Set<string>()) => {
      const judged = decideSnapshot(cluster, [shared], nothing, new Map())
      const { items, dropped } = settle('alpha', judged, nothing, bodiesOf([shared]), { registry, taken, now: 5 })
      assert.equal(items.length, 1, 'kept for when the other goes')
      return dropped[0]?.reason
    }
    const same = virtualOf(register([shared]).items)['test/shared']?.settings
    assert.equal(reasonWith(new Map()), undefined)
    assert.equal(reasonWith(new Map([['beta', by(4)]])), 'conflict')
    assert.equal(reasonWith(new Map([['beta', by(4, same)]])), undefined, 'they say the same')
    assert.equal(reasonWith(new Map([['beta', by(6)]])), undefined)
    assert.equal(reasonWith(new Map([['alpha', by(4)]])), undefined)
    assert.equal(reasonWith(new Map(), new Set(['test/shared'])), 'shadowed')
  })

  test('the same snapshot in any order registers the same', () => {
    const kinds: SnapshotKind[] = ['MCPServer', 'VirtualMCPServer', 'ToolPolicy', 'MCPGroup']
    const some = fc.uniqueArray(fc.tuple(fc.constantFrom(...kinds), fc.constantFrom('a', 'b', 'c', 'd')), {
      selector: (pair) => pair.join(' '),
    })
    fc.assert(
      fc.property(some, fc.infiniteStream(fc.nat()), (pairs, numbers) => {
        const items = pairs.map(([kind, name]) => item(kind, name))
        const ranked = items.map((one) => ({ one, rank: numbers.next().value ?? 0 }))
        const shuffled = ranked.sort((a, b) => a.rank - b.rank).map(({ one }) => one)
        assert.deepEqual(register(shuffled), register(items))
        const again = decideSnapshot(cluster, shuffled, register(items), new Map())
        assert.deepEqual(again.wanted, [])
      }),
    )
  })

  test('the index says when each virtual server was registered', () => {
    const registered = register([item('VirtualMCPServer', 'b'), item('VirtualMCPServer', 'a'), item('MCPServer', 'c')])
    const claims = virtualOf(registered.items)
    assert.deepEqual(Object.keys(claims), ['test/a', 'test/b'])
    assert.equal(claims['test/a']?.at, 5)
  })

  test('an uplink is told of so many that were dropped, in so many words', () => {
    const dropped = Array.from({ length: 1500 }, () => ({
      key: 'k',
      reason: 'invalid' as const,
      message: 'x'.repeat(999),
    }))
    const short = told(dropped)
    assert.equal(short.length, 1000)
    assert.ok(JSON.stringify(short).length < 512 * 1024)
  })
})

test('two items of one digest never share a manifest: it would outlive what the cluster may publish', () => {
  const mine = item('MCPServer', 'mine')
  const other = item('MCPServer', 'other', { digest: mine.digest })
  const judged = decideSnapshot(cluster, [mine, other], nothing, new Map())
  const { items, dropped } = settle('alpha', judged, nothing, bodiesOf([other]), around)
  assert.deepEqual(keysOf(items), [itemKey(other)])
  assert.deepEqual(dropped, [{ key: itemKey(mine), reason: 'invalid', message: 'is the manifest of another resource' }])
})

test('policies that are too many take the servers of their namespace along', () => {
  const policies = ['a', 'b'].map((name) => item('ToolPolicy', name))
  const server = item('MCPServer', 'x')
  const elsewhere = item('MCPServer', 'y', { namespace: 'other' })
  const all = [...policies, server, elsewhere]
  const tools = Array.from({ length: 8_000 }, String)
  const rules = { targetRef: { kind: 'VirtualMCPServer', name: 'of-the-edge' }, rules: [{ tools }] }
  const bodies = new Map<string, ReadBody>(
    all.map((one) => {
      const { kind, namespace, name } = one
      const spec = kind === 'ToolPolicy' ? rules : {}
      const resource = { kind, metadata: { namespace, name }, spec } as unknown as RegisteredItem['resource']
      return [one.digest, { ok: true, resource, catalog: undefined }]
    }),
  )
  const { items } = settle('alpha', decideSnapshot(cluster, all, nothing, new Map()), nothing, bodies, around)
  assert.deepEqual(keysOf(items), ['ToolPolicy/test/a', 'MCPServer/other/y'])
})

test('catalogs that do not fit beside the others of their cluster leave their servers out, and come back when there is room', () => {
  const all = ['a', 'b', 'c'].map((name) => item('MCPServer', name))
  const sized = (size: number) =>
    new Map(
      all.map((one): [string, ReadBody] => [one.digest, { ...(bodyOf(one, 'tools') as object), size } as ReadBody]),
    )
  const judged = decideSnapshot(cluster, all, nothing, new Map())
  const { items, dropped } = settle('alpha', judged, nothing, sized(MAX_CATALOGS / 2), around)
  assert.deepEqual(keysOf(items), ['MCPServer/test/a', 'MCPServer/test/b'])
  assert.deepEqual(
    dropped.map(({ key, reason }) => [key, reason]),
    [['MCPServer/test/c', 'too_large']],
  )
  const fewer = decideSnapshot(cluster, all.slice(1), { epoch: 1, seq: 1, items }, new Map())
  const after = settle('alpha', fewer, { epoch: 1, seq: 1, items }, sized(MAX_CATALOGS / 2), around)
  assert.deepEqual(keysOf(after.items), ['MCPServer/test/b', 'MCPServer/test/c'])
})

test('however long the words are, an uplink can read what it is told', () => {
  const dropped = Array.from({ length: 5_000 }, (_, at) => ({
    key: `VirtualMCPServer/${'n'.repeat(63)}/${String(at).padStart(253, 'x')}`,
    reason: 'invalid' as const,
    message: '→'.repeat(1_000),
  }))
  const list = told(dropped)
  assert.ok(list.length > 100)
  const frame = encode({ kind: 'registered', seq: 1, dropped: list })
  assert.equal(decodeEdge(frame).kind, 'frame')
})
