// What the testbed's own test runs in a pod: it says who it is, fetches what it is told to, and shows its token to the edge.
import { readFileSync } from 'node:fs'
import { createServer, get } from 'node:http'
import { hostname } from 'node:os'
import { text } from 'node:stream/consumers'

const DEADLINE_MS = 5000

/** Every request on a connection of its own: packet rules decide when a connection begins. */
const ask = (url, headers = {}) =>
  new Promise((resolve, reject) => {
    const request = get(url, { headers, agent: false, timeout: DEADLINE_MS }, resolve)
    request.on('error', reject).on('timeout', () => request.destroy(new Error('timed out')))
  })

async function answer(path, target) {
  switch (path) {
    case '/fetch':
      return text(await ask(target))
    case '/show':
      return text(await ask(target, { authorization: `Bearer ${readFileSync('/var/run/edge/token')}` }))
    case '/hold':
      fetch(target)
        .then((held) => held.text())
        .catch(() => {})
      return 'held'
    default:
      return JSON.stringify({ host: hostname(), version: process.argv[2], uid: process.getuid() })
  }
}

createServer((request, response) => {
  const url = new URL(request.url, 'http://pod')
  answer(url.pathname, url.searchParams.get('url')).then(
    (body) => response.setHeader('content-type', body.startsWith('{') ? 'application/json' : 'text/plain').end(body),
    (error) => response.writeHead(502).end(error.code ?? error.message),
  )
}).listen(8080, () => console.log('listening'))
