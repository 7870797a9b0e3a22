import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { test } from 'node:test'
import { Wire, header, parse } from './wire.ts'

/** A peer that answers every request with these parts, one packet after the other; no parts: it hangs up. */
async function peer(parts: readonly string[]): Promise<{ url: URL; server: Server }> {
  const server = createServer((socket) => {
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.on('data', () => {
      if (parts.length === 0) socket.end()
      parts.forEach((part, index) => setTimeout(() => socket.write(part, 'latin1'), index * 5))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`), server }
}

test('an answer of known length is complete with its last byte', () => {
  const whole = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nMcp-Session-Id: abc\r\n\r\nhello'
  for (let end = 0; end < whole.length; end++) assert.equal(parse(whole.slice(0, end)), undefined)
  const answer = parse(whole)
  assert.equal(answer?.body, 'hello')
  assert.equal(answer?.status, 200)
  assert.equal(header(answer?.head ?? '', 'mcp-session-id'), 'abc')
  assert.equal(header(answer?.head ?? '', 'content-type'), undefined)
})

test('a chunked answer is complete with its closing chunk', () => {
  const whole = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n'
  for (let end = 0; end < whole.length; end++) assert.equal(parse(whole.slice(0, end)), undefined)
  assert.equal(parse(whole)?.body, 'hello world')
})

test('answers that cannot be framed are errors', () => {
  assert.throws(() => parse('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n'), /neither sized nor chunked/)
  assert.throws(() => parse('HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n'), /content-length/)
})

test('one connection carries request after request, whatever the packets look like', async () => {
  const { url, server } = await peer(['HTTP/1.1 200 OK\r\nContent-', 'Length: 10\r\n\r\n01234', '56789'])
  const wire = new Wire(url)
  try {
    for (let index = 0; index < 3; index++) assert.equal((await wire.send('GET / HTTP/1.1\r\n\r\n')).body, '0123456789')
  } finally {
    wire.close()
    server.close()
  }
})

test('a peer that hangs up or stays silent is an error, not a wait for ever', async () => {
  const closing = await peer([])
  const silent = await peer(['HTTP/1.1 200 OK\r\n'])
  const hangUp = new Wire(closing.url)
  const waiting = new Wire(silent.url, 50)
  try {
    await assert.rejects(hangUp.send('GET / HTTP/1.1\r\n\r\n'), /closed before/)
    await assert.rejects(waiting.send('GET / HTTP/1.1\r\n\r\n'), /no answer within 50 ms/)
  } finally {
    hangUp.close()
    waiting.close()
    closing.server.close()
    silent.server.close()
  }
})
