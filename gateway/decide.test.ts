import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { faultText, parseMessage } from '../protocol/envelope.ts'
import type { Catalog } from './catalog/catalog.ts'
import { DEFAULT_AGGREGATION, merge } from './catalog/merge.ts'
import { unite } from './catalog/unite.ts'
import { Projection } from './catalog/project.ts'
import { LISTS, SECTIONS, type Section } from './catalog/server.ts'
import { decide, type Decision, type Situation } from './decide.ts'
import type { Access, Rule } from './policy.ts'
import { caller, memberOf, request, type Lists } from './sample.ts'
import { Sealer } from './seal.ts'

const lists: Lists = {
  tools: ['get', 'put', 'secret'],
  prompts: ['ask'],
  resources: ['file:///x', 'ui://app'],
  templates: ['file:///{p}', 'urn:{n}'],
}
const rules: readonly Rule[] = [
  { tools: ['secret'], groups: ['insiders'] },
  { tools: ['put'], scopes: ['write'] },
]
const catalog = merge(
  [memberOf('ns/a', lists), memberOf('ns/b', { tools: ['get'], resources: ['ui://app'], templates: ['file:///{p}'] })],
  DEFAULT_AGGREGATION,
  rules,
)

function decided(method: string, params: unknown = {}, more: Partial<Situation> = {}): Decision {
  const situation: Situation = {
    catalog,
    principal: caller(),
    era: 'legacy',
    sole: undefined,
    task: undefined,
    ...more,
  }
  return decide(request(method, params), situation)
}

/** In few words: the kind, the fault's reason, or the server and what is written where. */
function brief(decision: Decision): string {
  if (decision.kind === 'refuse') return decision.fault.reason
  if (decision.kind !== 'forward') return decision.kind
  const { server, rename } = decision.route
  return rename === undefined ? server : `${server} ${rename.path.join('.')}=${rename.value}`
}

describe('methods', () => {
  const unknown = 'method_not_found'
  const tasks = { 'io.modelcontextprotocol/tasks': {} }
  const knowsTasks = { 'io.modelcontextprotocol/clientCapabilities': { extensions: tasks } }
  const cases: readonly [method: string, params: unknown, legacy: string, modern: string][] = [
    ['initialize', {}, 'initialize', unknown],
    ['server/discover', {}, unknown, 'discover'],
    ['ping', {}, 'empty', unknown],
    ['subscriptions/listen', {}, unknown, 'listen'],
    ['resources/subscribe', { uri: 'file:///x' }, 'subscribe', unknown],
    ['resources/unsubscribe', { uri: 'file:///x' }, 'subscribe', unknown],
    ['logging/setLevel', { level: 'warning' }, 'level', unknown],
    ['logging/setLevel', { level: 'loud' }, 'invalid_params', unknown],
    ['logging/setLevel', {}, 'invalid_params', unknown],
    ['tools/list', {}, 'list', 'list'],
    ['prompts/list', { cursor: '' }, 'list', 'list'],
    ['resources/list', { cursor: 'x' }, 'list', 'list'],
    ['resources/templates/list', { cursor: 7 }, 'invalid_params', 'invalid_params'],
    ['tools/call', { name: 'a_get' }, 'ns/a name=get', 'ns/a name=get'],
    ['tools/call', { name: 'get' }, 'invalid_params', 'invalid_params'],
    ['tools/call', { name: 1 }, 'invalid_params', 'invalid_params'],
    ['tools/call', {}, 'invalid_params', 'invalid_params'],
    ['tools/call', { name: '__proto__' }, 'invalid_params', 'invalid_params'],
    ['tools/call', { name: 'a_put' }, 'step_up', 'step_up'],
    ['tools/call', { name: 'a_secret' }, 'invalid_params', 'invalid_params'],
    ['prompts/get', { name: 'a_ask' }, 'ns/a name=ask', 'ns/a name=ask'],
    ['prompts/get', { name: 'a_get' }, 'invalid_params', 'invalid_params'],
    ['resources/read', { uri: 'file:///x' }, 'ns/a', 'ns/a'],
    ['resources/read', { uri: 'ui://ns.b!app' }, 'ns/b uri=ui://app', 'ns/b uri=ui://app'],
    ['resources/read', { uri: 'file://ns.b!/dir/y' }, 'ns/b uri=file:///dir/y', 'ns/b uri=file:///dir/y'],
    ['resources/read', { uri: 'urn:x' }, 'ns/a', 'ns/a'],
    ['resources/read', { uri: 'file:///y' }, 'invalid_params', 'invalid_params'],
    ['resources/read', {}, 'invalid_params', 'invalid_params'],
    ['tasks/list', {}, unknown, unknown],
    ['completion/complete', { ref: { type: 'ref/prompt', name: 'a_ask' } }, 'ns/a ref.name=ask', 'ns/a ref.name=ask'],
    ['completion/complete', { ref: { type: 'ref/resource', uri: 'urn:{n}' } }, 'ns/a', 'ns/a'],
    [
      'completion/complete',
      { ref: { type: 'ref/resource', uri: 'file://ns.b!/{p}' } },
      'ns/b ref.uri=file:///{p}',
      'ns/b ref.uri=file:///{p}',
    ],
    ['completion/complete', { ref: { type: 'ref/tool', name: 'a_get' } }, 'invalid_params', 'invalid_params'],
    ['completion/complete', { ref: 'a_ask' }, 'invalid_params', 'invalid_params'],
    ['tasks/get', { taskId: 'sealed' }, 'invalid_params', 'missing_capability'],
    ['tasks/get', { taskId: 'sealed', _meta: knowsTasks }, 'invalid_params', 'invalid_params'],
    ['tasks/result', { taskId: 'sealed', _meta: knowsTasks }, 'invalid_params', unknown],
    ['vendor/method', {}, unknown, unknown],
  ]
  for (const [method, params, legacy, modern] of cases) {
    test(`${method} ${JSON.stringify(params)}: ${legacy}, ${modern}`, () => {
      assert.equal(brief(decided(method, params)), legacy)
      assert.equal(brief(decided(method, params, { era: 'modern' })), modern)
    })
  }

  test('lists keep their cursor and levels their name', () => {
    assert.deepEqual(decided('prompts/list', { cursor: '' }), { kind: 'list', section: 'prompts', cursor: '' })
    assert.deepEqual(decided('resources/templates/list'), { kind: 'list', section: 'templates', cursor: undefined })
    assert.deepEqual(decided('logging/setLevel', { level: 'debug' }), { kind: 'level', level: 'debug' })
  })

  test('a call that lacks scopes names all that the operation needs', () => {
    assert.deepEqual(decided('tools/call', { name: 'a_put' }), { kind: 'step_up', scopes: ['write'] })
    assert.equal(brief(decided('tools/call', { name: 'a_put' }, { principal: caller(['write']) })), 'ns/a name=put')
  })

  test('a task goes to its server under the server’s own id', () => {
    const task = { server: 'ns/b', via: 'ns/one', id: 't-1' }
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel'])
      assert.equal(brief(decided(method, { taskId: 'sealed' }, { task })), 'ns/b taskId=t-1')
  })
})

describe('the one server of an endpoint', () => {
  const sole = { sole: 'ns/a', era: 'legacy' } as const
  test('gets what nobody else could', () => {
    assert.equal(brief(decided('vendor/method', {}, sole)), 'ns/a')
    assert.equal(brief(decided('resources/read', { uri: 'unlisted:x' }, sole)), 'ns/a')
    assert.equal(brief(decided('resources/read', { uri: `x:${'x'.repeat(8192)}` }, sole)), 'invalid_params')
    assert.equal(brief(decided('completion/complete', { ref: { type: 'ref/resource', uri: 'u:{x}' } }, sole)), 'ns/a')
  })
  test('never gets what is answered here, or what is hidden or unknown by name', () => {
    for (const method of ['tools/call/', 'TOOLS/CALL', 'tools//call', 'prompts/Get', 'tasks/list', ' tools/call'])
      assert.equal(brief(decided(method, { name: 'a_secret' }, sole)), 'method_not_found', method)
    for (const era of ['legacy', 'modern'] as const) {
      for (const method of ['initialize', 'server/discover', 'ping', 'subscriptions/listen', 'resources/subscribe'])
        assert.notEqual(decided(method, {}, { ...sole, era }).kind, 'forward', `${era} ${method}`)
      for (const name of ['a_secret', 'nothing'])
        assert.equal(brief(decided('tools/call', { name }, { ...sole, era })), 'invalid_params')
    }
  })
})

test('notifications are heard, passed to the one server, or ignored, by era', () => {
  const cases: readonly [method: string, legacy: string, alone: string, modern: string][] = [
    ['notifications/initialized', 'ignore', 'ignore', 'ignore'],
    ['notifications/progress', 'progress', 'progress', 'ignore'],
    ['notifications/roots/list_changed', 'roots', 'roots', 'ignore'],
    ['notifications/cancelled', 'cancel', 'cancel', 'ignore'],
    ['notifications/vendor', 'ignore', 'ns/a', 'ignore'],
    ['tools/call', 'ignore', 'ignore', 'ignore'],
  ]
  for (const [method, legacy, alone, modern] of cases) {
    const message = parseMessage(JSON.stringify({ jsonrpc: '2.0', method, params: { name: 'a_secret', requestId: 5 } }))
    const base: Situation = { catalog, principal: caller(), era: 'legacy', sole: undefined, task: undefined }
    assert.equal(brief(decide(message, base)), legacy, method)
    assert.equal(brief(decide(message, { ...base, sole: 'ns/a' })), alone, method)
    assert.equal(brief(decide(message, { ...base, era: 'modern', sole: 'ns/a' })), modern, method)
  }
  const response = parseMessage('{"jsonrpc":"2.0","id":1,"result":{}}')
  const answering = { catalog, principal: caller(), sole: 'ns/a', task: undefined }
  assert.equal(decide(response, { ...answering, era: 'legacy' }).kind, 'answer')
  assert.equal(decide(response, { ...answering, era: 'modern' }).kind, 'ignore')
})

/** How each kind of entry is asked for. */
function ask(section: Section, name: string, more: Partial<Situation>): Decision[] {
  const ref = section === 'prompts' ? { type: 'ref/prompt', name } : { type: 'ref/resource', uri: name }
  const direct = {
    tools: 'tools/call',
    prompts: 'prompts/get',
    resources: 'resources/read',
    templates: 'resources/read',
  }
  const first = decided(direct[section], { name, uri: name }, more)
  return section === 'tools' ? [first] : [first, decided('completion/complete', { ref }, more)]
}

describe('what is hidden', () => {
  const staff: Access = { issuers: ['https://staff'], scopes: [] }
  const everybody: Access = { issuers: undefined, scopes: [] }
  const hidden = {
    key: 'ns/inside',
    access: staff,
    catalog: merge([memberOf('ns/in', lists)], DEFAULT_AGGREGATION, []),
  }
  const answer = (decision: Decision) => (decision.kind === 'refuse' ? faultText('1', decision.fault) : decision.kind)

  test('answers byte for byte as if it did not exist, and only the audit trail knows', () => {
    const [all, none]: [Catalog, Catalog] = [unite([hidden]), unite([])]
    for (const section of SECTIONS) {
      for (const { exposed } of all.entries[section]) {
        const [there, absent] = [all, none].map((one) => ask(section, exposed, { catalog: one }))
        assert.ok(there && absent)
        assert.deepEqual(there.map(answer), absent.map(answer))
        assert.ok(there.every((one) => one.kind === 'refuse' && one.denied === true))
        assert.ok(absent.every((one) => one.kind === 'refuse' && one.denied === undefined))
      }
    }
  })

  test('does not stand in the way of a template that is not', () => {
    const open = merge([memberOf('ns/out', { templates: ['{+any}'] })], DEFAULT_AGGREGATION, [])
    const both = { catalog: unite([hidden, { key: 'ns/open', access: everybody, catalog: open }]) }
    for (const uri of ['file:///x', 'file:///y', 'urn:z'])
      assert.equal(brief(decided('resources/read', { uri }, both)), 'ns/out')
    assert.equal(
      brief(
        decided('resources/read', { uri: 'urn:z' }, { ...both, principal: caller([], { issuer: 'https://staff' }) }),
      ),
      'ns/in',
    )
  })
})

test('an entry is listed if and only if asking for it is not answered as unknown', async () => {
  const sealer = new Sealer([{ kid: 'k', key: new Uint8Array(32) }])
  const access = fc.record({
    issuers: fc.option(fc.subarray(['https://idp', 'https://other']), { nil: undefined }),
    scopes: fc.subarray(['mcp']),
  })
  const rule: fc.Arbitrary<Rule> = fc.oneof(
    fc.record({ tools: fc.subarray(['x', '*y', 's_*']), groups: fc.subarray(['g', 'h']) }),
    fc.record({ tools: fc.subarray(['x', '*y', 's_*']), scopes: fc.subarray(['write']) }),
  )
  const items = fc.subarray(['x', 'y', 'zy'])
  const part = fc
    .tuple(fc.constantFrom('m/s', 'n/s', 'n/t'), items, items, access, fc.array(rule, { maxLength: 2 }))
    .map(([server, tools, others, from, held]) => {
      const uris = others.map((one) => `${server}:${one}`)
      const all = { tools, prompts: others, resources: uris, templates: uris.map((uri) => `t${uri}{x}`) }
      return { key: server, access: from, catalog: merge([memberOf(server, all)], DEFAULT_AGGREGATION, held) }
    })
  const principal = fc
    .tuple(fc.subarray(['mcp', 'write']), fc.subarray(['g', 'h']), fc.constantFrom('https://idp', 'https://other'))
    .map(([scopes, groups, issuer]) => caller(scopes, { groups, issuer }))
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 3 }), principal, fc.boolean(), async (parts, one, alone) => {
      const whole = parts[0] !== undefined && alone ? parts[0].catalog : unite(parts)
      const projection = new Projection(whole, sealer, true)
      for (const section of SECTIONS) {
        const { result } = await projection.list(section, one, 'modern', undefined)
        const page = JSON.parse(new TextDecoder().decode(result)) as Record<string, Record<string, string>[]>
        const listed = (page[LISTS[section].member] ?? []).map((item) => item[LISTS[section].id])
        for (const { exposed } of whole.entries[section]) {
          for (const decision of ask(section, exposed, { catalog: whole, principal: one }))
            assert.equal(decision.kind !== 'refuse', listed.includes(exposed), `${section} ${exposed}`)
        }
      }
    }),
  )
})
