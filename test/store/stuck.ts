// An HTTP endpoint that accepts requests and never finishes an answer.

import { createServer } from 'node:http'

/** With `start` it sends headers and that text first; with null nothing at all. */
export async function startStuck(start: string | null): Promise<{ url: string; close(): void }> {
  const server = createServer((_, response) => {
    if (start !== null) response.writeHead(200, { 'content-length': '1000' }).write(start)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
