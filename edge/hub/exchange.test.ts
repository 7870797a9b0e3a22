import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeEdge } from '../../protocol/frame.ts'
import { WINDOW } from '../../protocol/link.ts'
import { Exchanges } from './exchange.ts'

const target = { kind: 'MCPServer', namespace: 'a', name: 'b' }

/** Calls over one link whose other end answers each with this body, which does not end. */
function rig(body: Uint8Array) {
  const cancelled: string[] = []
  const exchanges = new Exchanges({
    send: (connection, bytes) => {
      const decoded = decodeEdge(bytes)
      if (decoded.kind !== 'frame') return
      const { frame } = decoded
      if (frame.kind === 'cancel') cancelled.push(frame.call)
      if (frame.kind !== 'open') return
      const { call } = frame
      queueMicrotask(() =>
        exchanges.frame(connection, { kind: 'head', call, status: 200, headers: {}, last: false }, body),
      )
    },
    close: () => assert.fail('the machine gave a link up'),
    doubt: () => undefined,
  })
  exchanges.opened('x')
  const call = () => exchanges.call(target, new Request('http://hub/', { method: 'GET' }), 10_000)
  return { exchanges, cancelled, call }
}

test('many readers that stop reading cost the largest answers, not the memory of the hub', async () => {
  const { cancelled, call } = rig(new Uint8Array(WINDOW))
  const small = rig(new Uint8Array(10))
  const answers = await Promise.all(Array.from({ length: 200 }, call))
  assert.equal(cancelled.length, 200 - (32 * 1024 * 1024) / WINDOW)
  let whole = 0
  for (const answer of answers) {
    if (answer.status !== 200) continue
    const { value } =
      (await answer.body
        ?.getReader()
        .read()
        .catch(() => ({ value: undefined }))) ?? {}
    if (value?.length === WINDOW) whole += 1
  }
  assert.equal(whole, 200 - cancelled.length)
  await Promise.all(Array.from({ length: 200 }, small.call))
  assert.deepEqual(small.cancelled, [])
})

test('what was read leaves room for others', async () => {
  const { cancelled, call } = rig(new Uint8Array(WINDOW))
  for (let left = 100; left > 0; left -= 1) {
    const reader = (await call()).body?.getReader()
    assert.equal((await reader?.read())?.value?.length, WINDOW)
  }
  assert.deepEqual(cancelled, [])
})
