import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseMessage } from '../protocol/envelope.ts'
import type { Catalog } from './catalog/catalog.ts'
import { DEFAULT_AGGREGATION, merge } from './catalog/merge.ts'
import type { Endpoint, Host } from './endpoint.ts'
import type { Forwarding } from './forwarding.ts'
import type { Rule } from './policy.ts'
import { RequestRecord } from './record.ts'
import { isCallEvent, resumption, sealEvent } from './resume.ts'
import { caller, fleetMember, memberOf } from './sample.ts'
import { Sealer } from './seal.ts'
import type { ClientSession } from './session.ts'

const START = 1_800_000_000_000
const sealer = new Sealer([{ kid: 'a', key: new Uint8Array(32) }])
const session: ClientSession = {
  id: 'mine',
  revision: '2025-11-25',
  client: { name: 'c', version: '1' },
  capabilities: {},
}
const list = { tools: ['get'], resources: ['ui://app'] }
const catalogOf = (rules: readonly Rule[] = [], server = 'ns/a'): Catalog =>
  merge([memberOf(server, list)], DEFAULT_AGGREGATION, rules)
const hostAt = (time: number) => ({ sealer, now: () => time }) as Host

function presented(catalog: Catalog, by: ClientSession = session) {
  const record = new RequestRecord(new Headers(), 'ns/e', {
    component: 'test',
    source: '',
    now: () => START,
    audit: () => undefined,
  })
  const endpoint = { key: 'ns/e', catalog, sole: undefined } as Endpoint
  return { session: by, principal: caller(), endpoint, headers: new Headers(), record }
}

const call =
  '{"jsonrpc":"2.0","id":"\\u0061","method":"tools/call","params":{"name":"a_get","arguments":{"secret":1},"_meta":{"progressToken":7,"x":1}}}'
const sealed = (text = call, more: Partial<Forwarding> = {}, event = 'e-1') => {
  const message = parseMessage(text)
  const opened = { era: 'legacy', revision: '2025-11-25', meta: {}, client: undefined } as const
  const route = { server: 'ns/a', entry: undefined, rename: undefined }
  return sealEvent(event, { ...presented(catalogOf()), message, opened, ...more }, route, hostAt(START))
}

describe('an event of a call', () => {
  test('tells nothing, and opens into what it takes to go on', async () => {
    const id = await sealed()
    assert.ok(id !== undefined && isCallEvent(id))
    // Nothing shorter: two or three letters may stand in any sealed text by chance.
    assert.doesNotMatch(id, /ns\/a|a_get|"e-1"/)
    const found = await resumption(id, presented(catalogOf()), hostAt(START + 60_000))
    assert.ok(found)
    const { route, forwarding } = found
    assert.deepEqual(
      [route.server, route.rename?.value, forwarding.after, forwarding.message.id, forwarding.opened.meta],
      ['ns/a', 'get', 'e-1', '"\\u0061"', { progressToken: 7 }],
    )
    assert.deepEqual(forwarding.message.params, { name: 'a_get', _meta: { progressToken: 7 } })
  })

  test('is nothing to another session, later, forged, or at an endpoint that changed', async () => {
    const id = await sealed()
    assert.ok(id)
    const host = hostAt(START)
    const none = [
      await resumption(id, presented(catalogOf(), { ...session, id: 'theirs' }), host),
      await resumption(id, presented(catalogOf()), hostAt(START + 21 * 60_000)),
      await resumption(`${id.slice(0, -4)}AAAA`, presented(catalogOf()), host),
      await resumption(await sealer.seal('request', { session: 'mine' }), presented(catalogOf()), host),
      await resumption(id, presented(catalogOf([], 'other/a')), host),
      await resumption(id, presented(catalogOf([{ tools: ['get'], groups: ['nobody'] }])), host),
      await resumption(id, presented(catalogOf([{ tools: ['get'], scopes: ['more'] }])), host),
    ]
    assert.deepEqual(none, Array(none.length).fill(undefined))
  })

  test('of an instance of a fleet goes on there, as long as its caller may be there', async () => {
    const fleet = (rules: readonly Rule[] = []) =>
      merge(
        [
          fleetMember('ns/a', 'addressable', { x: list, y: list }, (cluster) => ({
            rules: cluster === 'y' ? rules : [],
          })),
        ],
        DEFAULT_AGGREGATION,
        [],
      )
    const message = parseMessage(call)
    const opened = { era: 'legacy', revision: '2025-11-25', meta: {}, client: undefined } as const
    const route = { server: 'ns/a@y', entry: undefined, rename: undefined }
    const id = await sealEvent('e', { ...presented(fleet()), message, opened }, route, hostAt(START))
    assert.ok(id)
    assert.equal((await resumption(id, presented(fleet()), hostAt(START)))?.route.server, 'ns/a@y')
    const shut = fleet([{ tools: ['*'], place: { policy: 'p', here: false } }])
    assert.equal(await resumption(id, presented(shut), hostAt(START)), undefined)
  })

  test('is not made where it could not come back', async () => {
    assert.equal(await sealed(call, { session: undefined }), undefined)
    const long = 'x'.repeat(7_000)
    assert.equal(await sealed(call.replace('a_get', long)), undefined)
    assert.equal(await sealed(call.replace('\\u0061', long)), undefined)
    assert.equal(await sealed(call, {}, long), undefined)
    const read = '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"ui://app"}}'
    const id = await sealed(read)
    assert.ok(id)
    const found = await resumption(id, presented(catalogOf()), hostAt(START))
    assert.equal(found?.forwarding.message.params['uri'], 'ui://app')
  })

  test('is told from an event of a session’s own stream', () => {
    for (const other of ['', '1', 'a-7', 'a.b.c.d', 'a.b.c.d.e.f']) assert.equal(isCallEvent(other), false)
  })
})
