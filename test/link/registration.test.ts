// What an edge takes of what uplinks publish: who may publish what, who leads, and what stays when a cluster goes.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge, type TestEdge } from '../edge.ts'
import { startIssuer } from '../issuer.ts'
import { manifest, policy, virtual } from '../peers/manifests.ts'
import { exchange, toolNames } from '../peers/wire.ts'
import { catalogOf, serverOf } from './published.ts'
import { join as joined, type Publication, ScriptedUplink } from './scripted-uplink.ts'

const reasons = (dropped: readonly { key: string; reason: string }[]) =>
  Object.fromEntries(dropped.map(({ key, reason }) => [key, reason]))

describe('registration', () => {
  let edge: TestEdge
  const open: ScriptedUplink[] = []

  before(async () => {
    edge = await startEdge()
  })
  after(async () => {
    for (const uplink of open) uplink.close()
    await edge?.close()
  })

  /** An uplink that leads a cluster of its own. */
  async function leader(cluster: string, allow: Readonly<Record<string, readonly string[]>> = {}) {
    const identity = await joined(edge, cluster, allow)
    const connect = async (replica: string, isLeader = true) => {
      const uplink = await ScriptedUplink.connect(edge, cluster, identity, { replica, isLeader, pingMs: 300 })
      open.push(uplink)
      return uplink
    }
    const uplink = await connect('one')
    return { identity, connect, uplink, epoch: await uplink.leads() }
  }

  async function listed(endpoint: string): Promise<string[]> {
    const token = await edge.token(endpoint)
    return toolNames(await exchange(endpoint, { method: 'tools/list', token }))
  }

  async function until(what: string, met: () => Promise<boolean>, patienceMs = 60_000): Promise<void> {
    const deadline = Date.now() + patienceMs
    while (!(await met())) {
      assert.ok(Date.now() < deadline, what)
      await sleep(200)
    }
  }

  const stateOf = async (cluster: string): Promise<string> => {
    const response = await edge.admin('GET', `/admin/v1/status?cluster=${cluster}`)
    const { clusters } = (await response.json()) as { clusters: { hub?: { state: string } }[] }
    return clusters[0]?.hub?.state ?? 'unknown'
  }

  test('only what the edge lets a cluster publish is registered, and the rest is told', async () => {
    const { uplink, epoch } = await leader('limited', {
      namespaces: ['test'],
      kinds: ['MCPServer', 'VirtualMCPServer'],
      virtualServers: ['test/limited-*'],
    })
    const { dropped } = await uplink.publish(epoch, 1, [
      { manifest: serverOf('mine'), catalog: catalogOf('mine') },
      { manifest: serverOf('mine', 'other') },
      { manifest: manifest('MCPRemoteProxy', 'proxy', { remoteUrl: 'https://example.com/mcp' }) },
      { manifest: virtual('limited-tools', ['mine']) },
      { manifest: virtual('everything', ['mine']) },
      { manifest: serverOf('broken'), catalog: '{"tools":1}' },
      { manifest: manifest('MCPServer', 'wrong', { image: 7 }) },
    ])
    assert.deepEqual(reasons(dropped), {
      'MCPServer/other/mine': 'not_allowed',
      'MCPRemoteProxy/test/proxy': 'not_allowed',
      'VirtualMCPServer/test/everything': 'not_allowed',
      'MCPServer/test/broken': 'invalid',
      'MCPServer/test/wrong': 'invalid',
    })
    assert.deepEqual(await edge.lists(edge.endpoint('limited-tools'), ['mine']), ['mine'])
    const token = await edge.token(edge.endpoint('everything'))
    assert.equal((await exchange(edge.endpoint('everything'), { method: 'tools/list', token })).status, 404)
    const event = await edge.audited(
      ({ target }) =>
        JSON.stringify(target) === JSON.stringify({ endpoint: 'link', method: 'link.registered', name: 'limited' }),
    )
    assert.equal(event.outcome, 'denied')
  })

  test('what is refused is written down once, also where nothing else of the snapshot is new', async () => {
    const { uplink, epoch } = await leader('trying', { namespaces: ['test'] })
    const mine: Publication = { manifest: serverOf('trying'), catalog: catalogOf('mine') }
    const foreign: Publication = { manifest: serverOf('trying', 'other') }
    await uplink.publish(epoch, 1, [mine])
    await uplink.publish(epoch, 2, [mine, foreign])
    await uplink.publish(epoch, 3, [foreign, mine])
    await uplink.publish(epoch, 4, [mine])
    await edge.settled()
    const told = edge.audit().flatMap(({ target, outcome, metadata }) => {
      const { method, name } = target as { method?: string; name?: string }
      const { refused } = (metadata as { extra: { refused?: string } }).extra
      return method === 'link.registered' && name === 'trying' ? [[outcome, refused]] : []
    })
    assert.deepEqual(told, [
      ['success', undefined],
      ['denied', 'MCPServer/other/trying: not_allowed'],
      ['success', undefined],
    ])
  })

  test('what an edge has it does not ask for again, and what is the same changes nothing', async () => {
    const { uplink, connect, epoch } = await leader('same')
    const one: Publication = { manifest: serverOf('same-one'), catalog: catalogOf('first') }
    const two: Publication = { manifest: serverOf('same-two'), catalog: catalogOf('second') }
    assert.equal((await uplink.publish(epoch, 1, [one, two])).wanted.length, 2)
    assert.equal((await uplink.publish(epoch, 2, [two, one])).wanted.length, 0)
    const changed = { ...one, catalog: catalogOf('first', 'third') }
    assert.equal((await uplink.publish(epoch, 3, [changed, two])).wanted.length, 1)
    uplink.close()
    const again = await connect('one')
    const next = await again.leads()
    assert.ok(next > epoch)
    assert.equal((await again.publish(next, 1, [changed, two])).wanted.length, 0)
    const registered = () =>
      edge
        .audit()
        .filter(
          ({ target }) =>
            JSON.stringify(target).includes('link.registered') && JSON.stringify(target).includes('"same"'),
        )
    await until('both are written down', async () => registered().length >= 2)
    await edge.settled()
    assert.equal(registered().length, 2)
  })

  test('a server whose proxy is not seen yet keeps the tools that it had, unless it is another server', async () => {
    const { uplink, epoch } = await leader('kept')
    const tools = { manifest: virtual('kept-tools', ['kept']) }
    await uplink.publish(epoch, 1, [tools, { manifest: serverOf('kept'), catalog: catalogOf('one') }])
    const endpoint = edge.endpoint('kept-tools')
    await edge.lists(endpoint, ['one'])
    await uplink.publish(epoch, 2, [tools, { manifest: serverOf('kept') }])
    await sleep(3_000)
    assert.deepEqual(await listed(endpoint), ['one'])
    await uplink.publish(epoch, 3, [tools, { manifest: serverOf('kept'), uid: 'another' }])
    await until('the tools are gone', async () => (await listed(endpoint)).length === 0)
  })

  test('a policy that cannot be read takes its target along, and nothing else', async () => {
    const { uplink, epoch } = await leader('policed')
    const target = (name: string) => ({ targetRef: { kind: 'MCPServer', name }, rules: 'none' })
    const broken = { ...policy('broken', '', []), spec: target('guarded') }
    const publications = [
      { manifest: broken },
      { manifest: serverOf('guarded'), catalog: catalogOf('secret') },
      { manifest: serverOf('free'), catalog: catalogOf('free') },
      { manifest: virtual('policed-tools', ['guarded', 'free']) },
    ]
    const expected = { 'ToolPolicy/test/broken': 'invalid', 'MCPServer/test/guarded': 'invalid' }
    assert.deepEqual(reasons((await uplink.publish(epoch, 1, publications)).dropped), expected)
    // The second time nothing is asked for: what is known to be of no use is judged in the same way.
    const again = await uplink.publish(epoch, 2, publications)
    assert.deepEqual(reasons(again.dropped), expected)
    assert.deepEqual(await edge.lists(edge.endpoint('policed-tools'), ['free']), ['free'])
  })

  test('the newest leader publishes; one that was fenced is ignored until nobody else leads', async () => {
    const { uplink, connect, epoch } = await leader('led')
    const tools = { manifest: virtual('led-tools', ['led']) }
    await uplink.publish(epoch, 1, [tools, { manifest: serverOf('led'), catalog: catalogOf('old') }])
    const newer = await connect('two')
    const next = await newer.leads()
    assert.equal((await uplink.until('fenced')).frame.epoch, next)
    await newer.publish(next, 1, [tools, { manifest: serverOf('led'), catalog: catalogOf('new') }])
    const from = uplink.received.length
    uplink.send({ kind: 'snapshot', epoch, seq: 9, last: true }, JSON.stringify({ format: 1, items: [] }))
    await uplink.until('fenced', undefined, from)
    await edge.lists(edge.endpoint('led-tools'), ['new'])
    newer.send({ kind: 'leading', isLeader: false })
    const again = await uplink.leads(from)
    assert.ok(again > next)
    await uplink.publish(again, 1, [tools, { manifest: serverOf('led'), catalog: catalogOf('again') }])
    await edge.lists(edge.endpoint('led-tools'), ['again'])
  })

  test('of two clusters with a virtual server of one name the first has it, and the edge before both', async () => {
    const first = await leader('first')
    const second = await leader('second')
    const mine = [
      { manifest: virtual('shared', ['of-first']) },
      { manifest: serverOf('of-first'), catalog: catalogOf('ours') },
    ]
    const theirs = [
      { manifest: virtual('shared', ['of-second']) },
      { manifest: serverOf('of-second'), catalog: catalogOf('theirs') },
    ]
    assert.deepEqual((await first.uplink.publish(first.epoch, 1, mine)).dropped, [])
    const conflict = { 'VirtualMCPServer/test/shared': 'conflict' }
    assert.deepEqual(reasons((await second.uplink.publish(second.epoch, 1, theirs)).dropped), conflict)
    const endpoint = edge.endpoint('shared')
    assert.deepEqual(await edge.lists(endpoint, ['ours']), ['ours'])
    await edge.apply([virtual('shared', ['of-second'])])
    const shadowed = { 'VirtualMCPServer/test/shared': 'shadowed' }
    assert.deepEqual(reasons((await first.uplink.publish(first.epoch, 2, mine)).dropped), shadowed)
    await until('the edge decides', async () => (await listed(endpoint)).includes('theirs'))
  })

  test('nonsense instead of a snapshot or a body registers nothing', async () => {
    for (const text of ['{', '{"format":2,"items":[]}', '{"format":1,"items":[{"kind":"MCPServer"}]}']) {
      const { uplink, epoch } = await leader(`nonsense-${text.length}`)
      uplink.send({ kind: 'snapshot', epoch, seq: 1, last: true }, text)
      assert.equal((await uplink.ended()).code, 4400)
    }
    const { uplink, epoch } = await leader('liar')
    const item = { kind: 'MCPServer', namespace: 'test', name: 'lie', uid: 'u', digest: 'a'.repeat(64) }
    uplink.send({ kind: 'snapshot', epoch, seq: 1, last: true }, JSON.stringify({ format: 1, items: [item] }))
    await uplink.until('want')
    uplink.send({ kind: 'body', epoch, digest: item.digest, last: true }, JSON.stringify({ resource: serverOf('lie') }))
    const { frame } = await uplink.until('registered')
    assert.deepEqual(reasons(frame.dropped), { 'MCPServer/test/lie': 'invalid' })
  })

  test('a cluster that changes all the time is slowed down, and one that claims to lead all the time is cut off', async () => {
    const { uplink, epoch } = await leader('restless')
    const began = Date.now()
    for (let seq = 1; seq <= 22; seq += 1)
      await uplink.publish(epoch, seq, [{ manifest: serverOf('restless'), catalog: catalogOf(`tool-${seq}`) }])
    const took = Date.now() - began
    assert.ok(took > 5_500, `the last two came after ${took} ms`)
    for (let nth = 0; nth < 40; nth += 1) uplink.send({ kind: 'leading', isLeader: true })
    assert.deepEqual(await uplink.ended(), { code: 4429, reason: 'says too often that it leads' })
    const led = edge.audit().filter(({ target }) => {
      const { method, name } = target as { method?: string; name?: string }
      return name === 'restless' && method === 'link.leading'
    })
    assert.ok(led.length < 40, `${led.length} events`)
  })

  test('a call takes a link that is heard of, and none that is open only', async (t) => {
    // A clock by which links are silent soon, and gone late.
    const calm = edge
    edge = await startEdge({ vars: { LINK_CLOCK: '3,60,120,180' } })
    t.after(async () => {
      await edge.close()
      edge = calm
    })
    const { uplink, connect, epoch } = await leader('hushed')
    const tools = { manifest: virtual('hushed-tools', ['hushed']) }
    await uplink.publish(epoch, 1, [tools, { manifest: serverOf('hushed'), catalog: catalogOf('say') }])
    const endpoint = edge.endpoint('hushed-tools')
    await edge.lists(endpoint, ['say'])
    const token = await edge.token(endpoint)
    const say = () => exchange(endpoint, { method: 'tools/call', token, params: { name: 'say', arguments: {} } })
    // The newer one is taken, and would be again.
    const hushed = await connect('two', false)
    const waiting = say()
    hushed.send({ kind: 'ack', call: (await hushed.arrived()).call })
    hushed.fallSilent()
    await sleep(3_300)
    for (let from = 0, nth = 0; nth < 2; nth += 1) {
      const asking = say()
      const { call, body, at } = await uplink.arrived(from)
      const { id } = JSON.parse(body) as { id: unknown }
      uplink.reply(call, { jsonrpc: '2.0', id, result: { content: [], resultType: 'complete' } })
      assert.deepEqual((await asking).answer?.result?.['content'], [])
      from = at + 1
      await sleep(1_100)
    }
    assert.equal((await waiting).answer?.error?.code, 1502)
    const response = await edge.admin('GET', '/admin/v1/status?cluster=hushed')
    const { clusters } = (await response.json()) as { clusters: { hub: { tally: object } }[] }
    assert.deepEqual(clusters[0]?.hub.tally, { calls: 3, faults: { lost: 1 } }, 'no other link was tried before')
  })

  test('a revoked cluster loses its links and everything that it registered at once', async () => {
    const { uplink, epoch } = await leader('revoked')
    await uplink.publish(epoch, 1, [
      { manifest: virtual('revoked-tools', ['revoked']) },
      { manifest: serverOf('revoked'), catalog: catalogOf('gone') },
    ])
    const endpoint = edge.endpoint('revoked-tools')
    await edge.lists(endpoint, ['gone'])
    const token = await edge.token(endpoint)
    const response = await edge.admin('POST', '/admin/v1/clusters/revoked/revoke')
    assert.equal(response.status, 200)
    assert.equal((await uplink.ended()).code, 4403)
    await until('the endpoint is gone', async () => {
      const { status } = await exchange(endpoint, { method: 'tools/list', token })
      return status === 404
    })
  })

  test('a cluster that changes what it may publish is asked for everything again', async () => {
    const { uplink, epoch } = await leader('narrowed')
    const publications = [{ manifest: serverOf('narrowed', 'elsewhere') }, { manifest: serverOf('narrowed') }]
    assert.deepEqual((await uplink.publish(epoch, 1, publications)).dropped, [])
    const from = uplink.received.length
    await edge.admin('PUT', '/admin/v1/clusters/narrowed', { method: 'join-token', allow: { namespaces: ['test'] } })
    const next = await uplink.leads(from)
    const { dropped } = await uplink.publish(next, 1, publications)
    assert.deepEqual(reasons(dropped), { 'MCPServer/elsewhere/narrowed': 'not_allowed' })
  })

  test('a cluster that falls silent is offline, then delisted, then forgotten; one that returns is back at once', async (t) => {
    // A clock that runs fast, for this cluster alone: whoever stands still for a while is gone by it.
    const calm = edge
    edge = await startEdge({ vars: { LINK_CLOCK: '3,5,12,18' } })
    t.after(async () => {
      await edge.close()
      edge = calm
    })
    const { uplink, connect, epoch } = await leader('silent')
    await uplink.publish(epoch, 1, [
      { manifest: virtual('silent-tools', ['silent']) },
      { manifest: serverOf('silent'), catalog: catalogOf('quiet') },
    ])
    const endpoint = edge.endpoint('silent-tools')
    await edge.lists(endpoint, ['quiet'])
    assert.equal(await stateOf('silent'), 'online')
    uplink.fallSilent()
    await until('it is offline', async () => (await stateOf('silent')) === 'offline')
    assert.deepEqual(await listed(endpoint), ['quiet'], 'still listed')
    const back = await connect('one')
    assert.equal(await stateOf('silent'), 'online')
    back.close()
    await until('it is delisted', async () => (await stateOf('silent')) === 'delisted')
    await until('it is forgotten', async () => (await stateOf('silent')) === 'unregistered')
    await edge.audited(({ target }) => (target as { method?: string }).method === 'link.evicted')
    const states = edge.audit().flatMap(({ target }) => {
      const { method, name } = target as { method?: string; name?: string }
      return name === 'silent' && /offline|delisted|evicted/u.test(method ?? '') ? [method] : []
    })
    assert.deepEqual(states, ['link.offline', 'link.offline', 'link.delisted', 'link.evicted'])
    const returned = await connect('one')
    await returned.publish(await returned.leads(), 1, [{ manifest: serverOf('silent'), catalog: catalogOf('quiet') }])
    assert.equal(await stateOf('silent'), 'online')
  })
})

test('an edge that restarts lists what was registered, takes links again, and fences who led before', async () => {
  const issuer = await startIssuer()
  const stateDir = await mkdtemp(join(tmpdir(), 'waggle-test-'))
  const publications = [
    { manifest: virtual('tools', ['echo']) },
    { manifest: serverOf('echo'), catalog: catalogOf('say') },
  ]
  let edge = await startEdge({ issuer, stateDir })
  try {
    const identity = await joined(edge, 'alpha')
    const uplink = await ScriptedUplink.connect(edge, 'alpha', identity)
    const epoch = await uplink.leads()
    await uplink.publish(epoch, 1, publications)
    await edge.close()
    await uplink.ended()
    edge = await startEdge({ issuer, stateDir })
    const endpoint = edge.endpoint('tools')
    const token = await edge.token(endpoint)
    assert.deepEqual(await edge.lists(endpoint, ['say']), ['say'])
    const call = { method: 'tools/call', token, params: { name: 'say', arguments: {} } }
    assert.match((await exchange(endpoint, call)).answer?.error?.message ?? '', /not connected/u)
    const again = await ScriptedUplink.connect(edge, 'alpha', identity)
    const next = await again.leads()
    assert.ok(next > epoch)
    again.send({ kind: 'snapshot', epoch, seq: 2, last: true }, JSON.stringify({ format: 1, items: [] }))
    assert.deepEqual((await again.publish(next, 1, publications)).wanted, [])
    const asking = exchange(endpoint, call)
    const arrived = await again.arrived()
    const { id } = JSON.parse(arrived.body) as { id: unknown }
    again.reply(arrived.call, { jsonrpc: '2.0', id, result: { content: [], resultType: 'complete' } })
    assert.deepEqual((await asking).answer?.result?.['content'], [])
    again.close()
  } finally {
    await edge.close()
    await issuer.close()
    await rm(stateDir, { recursive: true, force: true })
  }
})
