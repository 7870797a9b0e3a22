import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../protocol/fault.ts'
import { maxBody, readJson } from './body.ts'

const headers = { 'content-type': 'application/json' }

function streamed(pull: (controller: ReadableStreamDefaultController) => void | Promise<void>): Request {
  // Node asks for `duplex` where a body is a stream; Workers ignore it.
  const init = { method: 'PUT', headers, body: new ReadableStream({ pull }), duplex: 'half' as const }
  return new Request('https://edge.example.com/', init)
}

const fault = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason

test('a body that stops arriving is given up after 30 s', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const reading = readJson(streamed(() => new Promise<void>(() => undefined)))
  t.mock.timers.tick(30_000)
  await assert.rejects(reading, fault('invalid_request'))
})

test('an endless body is cut off at the bound', async () => {
  let sent = 0
  const endless = streamed((controller) => {
    sent += 65_536
    controller.enqueue(new Uint8Array(65_536))
  })
  await assert.rejects(readJson(endless), fault('too_large'))
  assert.ok(sent < maxBody + 4 * 65_536)
})

test('a body in parts is read whole, and bytes that are no UTF-8 are refused', async () => {
  const parts = [...new TextEncoder().encode('{"é":1}')].map((byte) => Uint8Array.of(byte))
  const whole = streamed((controller) => {
    const part = parts.shift()
    if (part === undefined) controller.close()
    else controller.enqueue(part)
  })
  assert.deepEqual(await readJson(whole), { é: 1 })
  const broken = new Request('https://edge.example.com/', { method: 'PUT', headers, body: Uint8Array.of(34, 255, 34) })
  await assert.rejects(readJson(broken), fault('invalid_json'))
})
