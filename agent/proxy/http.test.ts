import assert from 'node:assert/strict'
import { lookup } from 'node:dns'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { fetchOver } from './http.ts'

const fetch = fetchOver({ lookup, ca: undefined })

/** What becomes of the first lines of an answer, with more behind them than they promise. */
async function outcome(head: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.write(`${head}\r\n\r\n${'2710\r\n'.padEnd(10_000, 'x')}\r\n`))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  try {
    const { port } = server.address() as AddressInfo
    const response = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(30_000) })
    return `${response.status} ${(await response.text()).length}`
  } catch (error) {
    return error instanceof Error && error.name !== 'TimeoutError' ? 'refused' : 'hangs'
  } finally {
    server.close()
  }
}

const answers: Readonly<Record<string, string>> = {
  'HTTP/1.1 200 OK\r\ncontent-length: 5': '200 5',
  'HTTP/1.1 204 No Content\r\ncontent-length: 5': '204 0',
  'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked': 'refused',
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5': 'refused',
  'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 50': 'refused',
  'HTTP/1.1 700 Odd\r\ncontent-length: 0': 'refused',
  'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other': 'refused',
}
for (const [head, expected] of Object.entries(answers))
  test(`an answer of two meanings, or of none, is refused at once: ${head.replaceAll('\r\n', ', ')}`, async () => {
    assert.equal(await outcome(head), expected)
  })
