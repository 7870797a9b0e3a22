// The gate process of a cluster, run inside its network namespace. It does two things there:
// it relays a listening socket that the host hands it to the API server, so the host has access although nothing can dial in,
// and it answers every image pull, whatever registry the image names, from the image store: a read-only registry on 127.0.0.1:5000.
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import type { Server } from 'node:net'
import { pipeline } from 'node:stream'
import { blobPath, refPath } from './store.ts'

const store = process.argv[2] ?? ''

// A socket stays in the network namespace it was made in: this one listens on the host's loopback while its connections go on in here.
process.once('message', (_, listener: Server) => {
  listener.on('connection', (client) => pipeline(client, connect(6443, '127.0.0.1'), client, () => {}))
})

createServer((request, response) => {
  try {
    answer(request, response)
  } catch {
    response.writeHead(404).end()
  }
}).listen(5000, '127.0.0.1')

/** The pull half of the OCI distribution specification. `ns` is how containerd tells a mirror which registry the image named. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://mirror')
  const [, name, kind, reference] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(url.pathname) ?? []
  if (name === undefined || reference === undefined)
    return void response.writeHead(url.pathname === '/v2/' ? 200 : 404).end()
  const digest = reference.startsWith('sha256:')
    ? reference
    : readFileSync(refPath(store, `${url.searchParams.get('ns')}/${name}:${reference}`), 'utf8')
  const path = blobPath(store, digest)
  response.writeHead(200, {
    'content-length': statSync(path).size,
    'content-type': kind === 'blobs' ? 'application/octet-stream' : mediaType(JSON.parse(readFileSync(path, 'utf8'))),
    'docker-content-digest': digest,
  })
  if (request.method === 'HEAD') response.end()
  else pipeline(createReadStream(path), response, () => {})
}

/** Optional in a manifest (OCI image specification), but a registry must name it. */
const mediaType = (manifest: { mediaType?: string; manifests?: unknown }): string =>
  manifest.mediaType ?? `application/vnd.oci.image.${manifest.manifests ? 'index' : 'manifest'}.v1+json`
