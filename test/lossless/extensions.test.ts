// What the edge does not know passes through it: methods, capabilities, notifications, MCP Apps and tasks of an extension.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange } from '../peers/wire.ts'
import { exact, member } from './json.ts'

const ui = 'io.modelcontextprotocol/ui'
const tasks = 'io.modelcontextprotocol/tasks'

const app =
  '{"name":"chart","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://chart/view.html","visibility":["model","app"]}}}'

describe('extensions', () => {
  let edge: TestEdge
  let backend: Recorder
  let endpoint: string
  let token: string

  before(async () => {
    backend = await startRecorder({ tools: [app, '{"name":"slow","inputSchema":{"type":"object"}}'] })
    const extensions = `{"${ui}":{"mimeTypes":["text/html;profile=mcp-app"]},"${tasks}":{},"com.example/own":{"level":9007199254740993}}`
    backend.on(
      'server/discover',
      () =>
        `{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{},"com.example/top":{"a":1},"extensions":${extensions}},"ttlMs":60000,"cacheScope":"public"}`,
    )
    backend.on(
      'resources/list',
      () => '{"resources":[{"uri":"ui://chart/view.html","name":"view","mimeType":"text/html;profile=mcp-app"}]}',
    )
    edge = await startEdge({ resources: [entry('backend', backend.url), virtual('sole', ['backend'])] })
    endpoint = edge.endpoint('sole')
    await edge.lists(endpoint, ['chart'])
    token = await edge.token(endpoint)
  })
  after(async () => {
    await edge?.close()
    await backend?.close()
  })

  const envelope = (extensions: string): string =>
    `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"extensions":${extensions}}}`

  test('extensions of a backend are offered to clients', async () => {
    const { texts } = await exchange(endpoint, { method: 'server/discover', token })
    const offered = member(exact(texts.at(-1) ?? ''), 'result', 'capabilities', 'extensions')
    assert.deepEqual(member(offered, ui), { mimeTypes: ['text/html;profile=mcp-app'] })
    assert.ok(member(offered, 'com.example/own'))
  })

  test('extensions of a client are declared to its backend', async () => {
    backend.received.length = 0
    const params = `{"name":"chart","arguments":{},${envelope('{"com.example/own":{"n":1}}')}}`
    await exchange(endpoint, { method: 'tools/call', params, token })
    const sent = exact(backend.calls('tools/call')[0]?.body ?? '')
    const declared = member(sent, 'params', '_meta', 'io.modelcontextprotocol/clientCapabilities', 'extensions')
    assert.deepEqual(declared, { 'com.example/own': { n: { '#': '1' } } })
  })

  test('an app keeps its link to its page, and the page is read as it is', async () => {
    const { texts } = await exchange(endpoint, { method: 'tools/list', token })
    const listed = member(exact(texts.at(-1) ?? ''), 'result', 'tools')
    assert.ok(Array.isArray(listed))
    assert.deepEqual(
      listed.find((tool) => member(tool, 'name') === 'chart'),
      exact(app),
    )
    const page =
      '{"uri":"ui://chart/view.html","mimeType":"text/html;profile=mcp-app","text":"<html>","_meta":{"ui":{"csp":{}}}}'
    backend.on('resources/read', () => `{"contents":[${page}],"ttlMs":1,"cacheScope":"public"}`)
    const read = await exchange(endpoint, { method: 'resources/read', params: { uri: 'ui://chart/view.html' }, token })
    assert.deepEqual(member(exact(read.texts.at(-1) ?? ''), 'result', 'contents'), [exact(page)])
  })

  test('a method that the edge does not know reaches the only backend, and its answer the client', async () => {
    backend.on('com.example/do', (message) => `{"did":${JSON.stringify(message.params?.['what'] ?? null)},"n":1e400}`)
    const { texts, status } = await exchange(endpoint, { method: 'com.example/do', params: { what: ['x'] }, token })
    assert.equal(status, 200)
    const result = member(exact(texts.at(-1) ?? ''), 'result')
    assert.deepEqual(member(result, 'did'), ['x'])
    assert.deepEqual(member(result, 'n'), { '#': '1e400' })
  })

  test('a task is followed under an id that only its caller can use', async () => {
    backend.on(
      'tools/call',
      () =>
        '{"resultType":"task","taskId":"backend-task-1","status":"working","ttlMs":null,"createdAt":"now","futureField":[1.0]}',
    )
    backend.on(
      'tasks/get',
      (message) =>
        `{"taskId":${JSON.stringify(message.params?.['taskId'])},"status":"completed","result":{"content":[]}}`,
    )
    const params = `{"name":"slow","arguments":{},${envelope(`{"${tasks}":{}}`)}}`
    const { texts, body } = await exchange(endpoint, { method: 'tools/call', params, token })
    const created = member(exact(texts.at(-1) ?? ''), 'result')
    assert.equal(member(created, 'resultType'), 'task', body)
    assert.deepEqual(member(created, 'futureField'), [{ '#': '1.0' }])
    const taskId = member(created, 'taskId')
    assert.ok(typeof taskId === 'string' && !taskId.includes('backend-task-1'))

    backend.received.length = 0
    const get = (bearer: string) =>
      exchange(endpoint, {
        method: 'tasks/get',
        params: `{"taskId":${JSON.stringify(taskId)},${envelope(`{"${tasks}":{}}`)}}`,
        token: bearer,
        headers: { 'mcp-name': taskId },
      })
    const followed = await get(token)
    assert.equal(followed.answer?.result?.['status'], 'completed', followed.body)
    assert.equal(followed.answer.result['taskId'], taskId)
    const [asked] = backend.calls('tasks/get')
    assert.equal(asked?.message?.params?.['taskId'], 'backend-task-1')
    assert.equal(asked.headers['mcp-name'], 'backend-task-1')

    const stranger = await get(await edge.token(endpoint, { sub: 'eve' }))
    assert.ok(stranger.answer?.error)
    assert.equal(backend.calls('tasks/get').length, 1)
  })
})
