// The program behind `agent proxy` and `agent vmcp`: hosts the gateway on Node with what its run config says. The two differ in
// nothing but that configuration.

import { createAdaptorServer } from '@hono/node-server'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { orAborted } from '../../gateway/wait.ts'
import { AuditTrail } from './audit.ts'
import { parseRunConfig } from './config.ts'
import { follow } from './follow.ts'
import { internal } from './internal.ts'
import { readKeys } from './keys.ts'
import { log, reasonOf } from './log.ts'
import { placeOf, type Place } from './place.ts'
import { makeProxy } from './proxy.ts'
import { SecretFiles } from './secrets.ts'

/** How long a new proxy waits for the catalogs of its servers before it serves without them. */
const FIRST_LOOK_MS = 10_000
/** A token may be 16 KiB, and an assertion as well. */
const MAX_HEADERS = 48 * 1024
/** Longer than load balancers keep idle connections, so that they close first. */
const KEEP_ALIVE_MS = 75_000

export type Role = 'proxy' | 'vmcp'

/** Runs until the signal aborts, then drains. Rejects when it cannot start. */
export async function run(role: Role, signal: AbortSignal): Promise<void> {
  const place = placeOf(process.env)
  const { sealing, signing } = await readKeys(place.keys)
  const trail = new AuditTrail()
  let connections = 0
  let isEnding = false
  let seen = false
  const { state, channel, news, metrics, app } = makeProxy({
    component: role,
    sealing,
    signing,
    secrets: new SecretFiles(place.secrets),
    audit: (event) => trail.write(event),
    connections: () => connections,
    isEnding: () => isEnding,
  })

  const first = Promise.withResolvers<void>()
  const following = new AbortController()
  follow(
    {
      place,
      log,
      offered: (text) => {
        try {
          const config = parseRunConfig(text)
          state.apply(config)
          log('info', 'run_config_applied', { servers: config.servers.length, signers: config.signers.length })
          first.resolve()
        } catch (error) {
          log('error', 'run_config_refused', { reason: reasonOf(error) })
        }
      },
    },
    following.signal,
  )

  const notReady = (): string | undefined => {
    if (isEnding) return 'ending'
    if (state.config === undefined) return 'there is no run config yet'
    const { servers } = state.config
    if (signing === undefined && servers.some(({ credential }) => credential.kind === 'assertion'))
      return 'the signing key is missing, and without it no server of this endpoint answers'
    return seen ? undefined : 'the servers have not been seen yet'
  }
  const inner = listen(internal({ state, metrics, notReady, news }).fetch, place, place.internalPort, 'internal')
  const internalServer = await inner
  try {
    await orAborted(first.promise, signal)
  } catch {
    following.abort()
    internalServer.close()
    return
  }
  void Promise.race([state.seen(), pause(FIRST_LOOK_MS)]).then(() => (seen = true))
  const server = await listen(app.fetch, place, state.config?.port ?? 0, 'public', (change) => (connections += change))

  await orAborted(new Promise<never>(() => undefined), signal).catch(() => undefined)
  isEnding = true
  log('info', 'ending')
  // Endpoints are told of a pod's end while calls still arrive.
  await pause(place.graceMs)
  following.abort()
  channel.close()
  news.end()
  await closed(server, place.drainMs)
  state.close()
  trail.flush()
  internalServer.close()
  internalServer.closeAllConnections()
  log('info', 'ended')
}

type FetchCallback = Parameters<typeof createAdaptorServer>[0]['fetch']

async function listen(
  fetch: FetchCallback,
  { host }: Place,
  port: number,
  name: string,
  count?: (change: number) => void,
): Promise<Server> {
  const server = createAdaptorServer({
    fetch,
    createServer,
    serverOptions: { maxHeaderSize: MAX_HEADERS, keepAliveTimeout: KEEP_ALIVE_MS },
  }) as Server
  if (count !== undefined)
    server.on('request', (_request, response) => {
      count(1)
      response.once('close', () => count(-1))
    })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, ...(host !== undefined && { host }) }, resolve)
  })
  log('info', 'listening', { name, port: (server.address() as AddressInfo).port })
  return server
}

/** Takes no new connections, waits for the answers under way, then lets go of whatever is left. */
async function closed(server: Server, withinMs: number): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    server.close(() => resolve())
  })
  // A connection whose answer is out would be kept for the next request.
  const idle = setInterval(() => server.closeIdleConnections(), 50)
  await Promise.race([ended, pause(withinMs)])
  clearInterval(idle)
  server.closeAllConnections()
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref()
  })
}
