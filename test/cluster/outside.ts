// The world outside the clusters, on the bridge: a vendor's MCP server at https://mcp.linear.app/mcp, an OpenID issuer at https://idp.test, an edge
// at https://edge.test, of which only the keys are there unless a test puts it there; with certificates of an authority of the tests' own. It
// remembers which headers the vendor got.

import { toNodeHandler } from '@modelcontextprotocol/node'
import type { NodeIncomingMessageLike } from '@modelcontextprotocol/node'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request as forward } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream'
import { startIssuer } from '../issuer.ts'
import type { Issuer } from '../issuer.ts'
import { bridge } from './bed/plan.ts'
import { signingPair, type SigningPair } from '../proxy/proxy.ts'
import { run, until } from './bed/shell.ts'
import { serveFleet } from './fixtures/fleet.ts'

const VENDOR = 'mcp.linear.app'
const IDP = 'idp.test'
const EDGE = 'edge.test'
const KEPT = 1000

export interface Outside {
  /** The PEM certificate that pods must trust. */
  readonly ca: string
  /** Its identifier is https://idp.test. */
  readonly issuer: Issuer
  /** What a cluster that has joined the edge believes for its callers. */
  readonly edge: { readonly url: string; readonly keys: SigningPair }
  /** Headers of the requests to the vendor, oldest first. */
  readonly vendor: IncomingHttpHeaders[]
  close(): Promise<void>
}

/**
 * Starts it at port 443 of the bridge, which is there as long as a cluster is up; waits until nobody else has it.
 * @param edge where an edge really is, such as `http://10.100.0.40:8787`
 */
export async function startOutside(edge?: string): Promise<Outside> {
  const { ca, cert, key } = certify([VENDOR, IDP, EDGE])
  const issuer = await startIssuer({ url: `https://${IDP}` })
  const vendor: IncomingHttpHeaders[] = []
  const keys = await signingPair('edge')
  const linear = toNodeHandler(serveFleet('linear'))
  const server = createServer({ cert, key }, (request, response) => {
    const { host } = request.headers
    if (host === VENDOR) {
      if (vendor.length < KEPT) vendor.push(request.headers)
      void linear(request as NodeIncomingMessageLike, response)
      return
    }
    const address = host === IDP ? issuer.address : host === EDGE ? edge : undefined
    if (address !== undefined) relay(address, request, response)
    else if (host === EDGE && request.url === '/.well-known/jwks.json')
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [keys.publicJwk] }))
    else response.writeHead(host === EDGE ? 503 : 421).end()
  })
  const tunnels = new Set<Duplex>()
  server.on('upgrade', (request, socket: Duplex, head: Buffer) => {
    tunnels.add(socket)
    socket.once('close', () => tunnels.delete(socket)).on('error', () => {})
    if (request.headers.host === EDGE && edge !== undefined) tunnel(edge, request, socket, head)
    else socket.destroy()
  })
  // Another file's outside may take a moment to go.
  await until('port 443 of the bridge to be free', async () => {
    server.listen(443, bridge.address)
    await once(server, 'listening')
    return true
  })
  return {
    ca,
    issuer,
    edge: { url: `https://${EDGE}`, keys },
    vendor,
    close: async () => {
      server.close()
      server.closeAllConnections()
      for (const socket of tunnels) socket.destroy()
      await issuer.close()
    },
  }
}

function relay(address: string, request: IncomingMessage, response: ServerResponse): void {
  const { method, headers } = request
  const onward = forward(new URL(request.url ?? '/', address), { method, headers, agent: false }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    pipeline(answer, response, () => {})
  })
  // A caller that leaves is felt behind, and a server that dies is felt here, as without a relay.
  response.once('close', () => onward.destroy())
  const broken = (): void => {
    if (response.headersSent) response.destroy()
    else response.writeHead(502).end()
  }
  // Also once the request has gone out as a whole.
  onward.once('error', broken)
  pipeline(request, onward, () => {})
}

/** An upgraded connection: the request again, then bytes. */
function tunnel(address: string, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { hostname, port } = new URL(address)
  const onward = connect(Number(port), hostname, () => {
    const { method, url, rawHeaders } = request
    const lines = rawHeaders.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('')
    onward.write(`${method} ${url} HTTP/1.1\r\n${lines}\r\n`)
    onward.write(head)
    socket.pipe(onward).pipe(socket)
  })
  socket.once('close', () => onward.destroy())
  onward.on('error', () => {}).once('close', () => socket.destroy())
}

/** A new authority and a certificate of it for these names. */
function certify(names: readonly string[]): { ca: string; cert: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'waggle-ca-'))
  const at = (name: string): string => join(folder, name)
  try {
    const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30']
    run(['openssl', 'req', '-x509', ...fresh, '-keyout', at('ca.key'), '-out', at('ca.crt'), '-subj', '/CN=outside'])
    const alternatives = `subjectAltName=${names.map((name) => `DNS:${name}`).join()}`
    const signed = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-addext', 'basicConstraints=CA:FALSE']
    const subject = ['-subj', `/CN=${names[0]}`, '-addext', alternatives]
    run(['openssl', 'req', '-x509', ...fresh, '-keyout', at('key'), '-out', at('crt'), ...signed, ...subject])
    const read = (name: string): string => readFileSync(at(name), 'utf8')
    return { ca: read('ca.crt'), cert: read('crt'), key: read('key') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
