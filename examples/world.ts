// The whole demo on this machine: identity provider, three servers, the edge, the manifests applied
// through its admin API, and two servers over stdio that join it over the link.
// Whatever has started is ended again when a later part fails, and by `close`.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { serve } from '../cli/serve.ts'
import { startIdp } from './idp.ts'
import { startLocal } from './local.ts'
import { machineLogin } from './login.ts'
import { defaultPorts, portsFrom, readManifests } from './manifests.ts'
import { connectAs } from './person.ts'
import { onFreePort, probe } from './ports.ts'
import { startEverything } from './servers/everything.ts'
import { startModern } from './servers/modern.ts'

export interface WorldOptions {
  /** Port wanted for the edge; the others follow it. Taken ones are replaced by the next free ones. Default: 8787. */
  port?: number
  /** Holds one folder per edge port. Default: `.waggle` in the working directory. */
  stateRoot?: string
  /** Gets each line that the edge writes: audit events, and whatever else it says. */
  onLine?: (line: string) => void
  /** Told what is being done, in a few words. */
  onStep?: (step: string) => void
}

export interface World {
  /** The edge. */
  readonly url: string
  readonly issuer: string
  /** The virtual server with all tools. */
  readonly endpoint: string
  readonly servers: readonly { readonly name: string; readonly about: string; readonly url: string }[]
  readonly stateDir: string
  /** Servers whose tools did not show up in time. */
  readonly missing: readonly string[]
  /** Settles with a sentence when a part ends by itself. */
  readonly broken: Promise<string>
  close(): Promise<void>
}

const manifestFolder = fileURLToPath(new URL('edge', import.meta.url))
const patience = 20_000

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const step = options.onStep ?? (() => undefined)
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    // Last started, first ended; a part that fails to end must not keep the others alive.
    for (const closer of closers.splice(0).toReversed()) await closer().catch(() => undefined)
  }
  const own = <T extends { close(): Promise<void> }>(part: T): T => {
    closers.push(() => part.close())
    return part
  }

  try {
    const edgePort = await onFreePort(options.port ?? defaultPorts.edge, probe)
    // All others look above the edge's port, so none takes it before the edge itself does.
    const ports = portsFrom(edgePort)
    const url = `http://127.0.0.1:${edgePort}`
    const stateDir = join(options.stateRoot ?? '.waggle', String(edgePort))
    mkdirSync(stateDir, { recursive: true, mode: 0o700 })

    step('identity provider')
    const audiences = (resource: string) => resource === url || resource.startsWith(`${url}/`)
    const stateFile = join(stateDir, 'idp.json')
    const idp = own(await onFreePort(ports.idp, (port) => startIdp({ port, audiences, stateFile })))

    step('three MCP servers')
    const board = own(await onFreePort(ports.board, (port) => startModern({ port })))
    const start = (transport: 'streamable-http' | 'sse', wanted: number) =>
      onFreePort(wanted, async (port) => startEverything({ transport, port: await probe(port) }))
    const everything = own(await start('streamable-http', ports.everything))
    const classic = own(await start('sse', Math.max(ports.classic, Number(new URL(everything.url).port) + 1)))

    step('edge')
    const vars = { PUBLIC_URL: url, OIDC_ISSUER: idp.issuer, ALLOW_LOOPBACK: 'true' }
    const onLine = options.onLine ?? (() => undefined)
    const edge = own(await serve({ port: edgePort, stateDir, vars, onLine, onErrorLine: onLine }))

    step('manifests')
    const origins = new Map([
      [defaultPorts.idp, idp.issuer],
      [defaultPorts.board, new URL(board.url).origin],
      [defaultPorts.everything, new URL(everything.url).origin],
      [defaultPorts.classic, new URL(classic.url).origin],
    ])
    const { access_token } = await machineLogin(idp.issuer, {
      ...idp.machine,
      scope: 'waggle:admin',
      resource: `${url}/admin`,
    })
    const admin = (method: string, path: string, body: object) => request(url, access_token, method, path, body)
    await admin('PUT', '/admin/v1/resources', { resources: readManifests(manifestFolder, origins) })

    step('two servers over stdio, over the link')
    const local = own(await startLocal(url, stateDir, admin, () => undefined))

    step('catalog')
    const endpoint = `${url}/demo/tools/mcp`
    const missing = await awaitCatalog(endpoint, ['board', 'everything', 'classic', 'files', 'memory'])

    const broken = Promise.race([
      everything.ended.then(() => 'The server "everything" ended by itself.'),
      classic.ended.then(() => 'The server "classic" ended by itself.'),
      local.ended.then(() => 'The local agent ended by itself.'),
      edge.ended.then((what) => `The edge ended by itself: ${what}.`),
    ])
    const servers = [
      { name: 'board', about: 'an incident board of the modern era (2026-07-28)', url: board.url },
      { name: 'everything', about: 'the reference server, sessions over streamable HTTP', url: everything.url },
      { name: 'classic', about: 'the reference server over the old HTTP+SSE transport', url: classic.url },
      { name: 'files', about: 'a folder, by a process over stdio: it joined like a cluster, over the link', url: '' },
      { name: 'memory', about: 'a knowledge graph, by another process of the same', url: '' },
    ]
    return { url, issuer: idp.issuer, endpoint, servers, stateDir, missing, broken, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** A request to the admin API; its answer. Throws with the edge's own words when it refuses. */
async function request(url: string, token: string, method: string, path: string, body: object): Promise<unknown> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(patience),
  })
  if (!response.ok) throw new Error(`The edge refused ${path} (HTTP ${response.status}): ${await response.text()}`)
  return response.json()
}

/** Waits until the catalog has tools of all servers; returns those that did not make it. */
async function awaitCatalog(endpoint: string, servers: string[]): Promise<string[]> {
  const ada = await connectAs({ user: 'ada', url: endpoint })
  const deadline = Date.now() + patience
  let missing = servers
  while (Date.now() < deadline) {
    const tools = await ada.tools()
    missing = servers.filter((server) => !tools.some((tool) => tool.startsWith(`${server}_`)))
    if (missing.length === 0) break
    await sleep(250)
  }
  await ada.client.close()
  return missing
}
