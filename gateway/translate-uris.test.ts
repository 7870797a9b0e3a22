import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseMessage } from '../protocol/envelope.ts'
import { passageOf } from './sample.ts'
import { inbound } from './translate.ts'

describe('URIs of mapped resources', () => {
  const renamed = new Map([['file:///x', 'file://ns.s!/x']])
  const result = (value: string, id: number) => `{"jsonrpc":"2.0","id":${id},"result":${value}}`
  const seen = (value: string) => {
    const passage = passageOf('{"jsonrpc":"2.0","id":1,"method":"resources/read"}', 'legacy', 'legacy')
    return inbound(parseMessage(result(value, 2)), passage, { requestState: undefined, taskId: undefined }, renamed)
  }
  const cases: readonly [title: string, value: (uri: string) => string][] = [
    ['in contents', (uri) => `{"contents":[{"uri":"${uri}","text":"file:///x"},5]}`],
    [
      'in links',
      (uri) => `{"content":[{"type":"resource_link", "uri" : "${uri}"},{"type":"text","text":"file:///x"}]}`,
    ],
    ['in embedded resources', (uri) => `{"content":[{"type":"resource","resource":{"text":"","uri":"${uri}"}}]}`],
    [
      'in prompts',
      (uri) => `{"messages":[{"role":"user","content":{"resource":{"uri":"${uri}"}}},null,{"content":[]}]}`,
    ],
  ]
  for (const [title, value] of cases) {
    test(`${title} are the catalog’s`, () => {
      const expected = result(value('file://ns.s!/x').replaceAll('"text":"file://ns.s!/x"', '"text":"file:///x"'), 1)
      assert.equal(seen(value('file:///x')), expected)
      assert.equal(seen(value('file:\\/\\/\\/x')), expected)
      assert.equal(seen(value('other')), result(value('other'), 1))
    })
  }

  test('that are not texts are left alone, and nesting without end costs nothing', () => {
    for (const uri of ['5', 'null', '{}', '["file:///x"]']) {
      const value = `{"contents":[{"uri":${uri}}]}`
      assert.equal(seen(value), result(value, 1))
    }
    const deep = `{"content":[${'{"resource":'.repeat(50_000)}1${'}'.repeat(50_000)}]}`
    const started = performance.now()
    assert.equal(seen(deep), result(deep, 1))
    assert.ok(performance.now() - started < 500)
  })
})
