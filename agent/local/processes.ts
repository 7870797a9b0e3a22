// The servers of a fleet that are processes: one `StdioServer` for each manifest, made anew when the manifest says something else.

import type { Fetch } from '../../gateway/backend/upstream.ts'
import type { MCPServer } from '../../crds/mcp-server.ts'
import { serverKey } from '../../plan/members.ts'
import { resourceKey, type Resource, type Resources } from '../../plan/resources.ts'
import { Fault } from '../../protocol/fault.ts'
import { commandOf } from './command.ts'
import { StdioServer } from './stdio.ts'

interface Known {
  readonly spec: string
  readonly server: StdioServer
}

export interface ProcessesHost {
  readonly folder: string
  readonly secrets: string
  readonly said: (server: string, line: string) => void
}

export class Processes {
  readonly #host: ProcessesHost
  readonly #wanted = new Map<string, MCPServer>()
  readonly #known = new Map<string, Known>()
  readonly #ending = new Set<Promise<void>>()
  #isClosed = false

  constructor(host: ProcessesHost) {
    this.#host = host
  }

  /** The way to a server; undefined for those that are somewhere else. It leads to what its manifest says at the time. */
  readonly reach = (resource: Resource): Fetch | undefined => {
    if (resource.kind !== 'MCPServer') return undefined
    const key = serverKey(resource)
    this.#wanted.set(key, resource)
    return async (url, init) => this.#server(key).fetch(url, init)
  }

  /** Ends what is none of these any more, or something else there: sessions with it are gone, and the next one begins anew. */
  keep(resources: Resources): void {
    for (const [key, { metadata }] of this.#wanted) {
      const now = resources.get(resourceKey('MCPServer', metadata.namespace, metadata.name))
      if (now?.kind !== 'MCPServer') this.#wanted.delete(key)
      else this.#wanted.set(key, now)
    }
    for (const [key, { spec }] of this.#known)
      if (spec !== JSON.stringify(this.#wanted.get(key)?.spec)) this.#release(key)
  }

  #server(key: string): StdioServer {
    const { folder, secrets, said } = this.#host
    const resource = this.#wanted.get(key)
    const spec = JSON.stringify(resource?.spec)
    const known = this.#known.get(key)
    if (known?.spec === spec) return known.server
    this.#release(key)
    try {
      if (resource === undefined || this.#isClosed) throw new Error('it is gone')
      const command = commandOf(resource, folder, secrets)
      const server = new StdioServer({ server: key, command, said: (line) => said(key, line) })
      this.#known.set(key, { spec, server })
      return server
    } catch (error) {
      const detail = error instanceof Error ? error.message : 'unknown'
      said(key, detail)
      throw new Fault('backend_refused', `Server ${key} cannot be started here.`, { data: { server: key }, detail })
    }
  }

  #release(key: string): void {
    const known = this.#known.get(key)
    if (known === undefined) return
    this.#known.delete(key)
    const ending = known.server.close().finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }

  /** Resolves when every process has ended; none is started any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const key of this.#known.keys()) this.#release(key)
    await Promise.all(this.#ending)
  }
}
