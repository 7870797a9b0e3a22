// Objects of a small API server: what an uplink reads and writes, as far as it does. Lists and watches across namespaces, GET and PUT of
// single objects with their versions, and server-side apply of conditions.

import type { Condition } from '../../agent/kube/condition.ts'
import type { KubeObject } from '../../agent/kube/object.ts'
import { ScriptedServer, type Asked, type Reply } from '../kube/server.ts'

export class Objects {
  readonly #objects = new Map<string, KubeObject>()
  readonly #watches = new Map<string, Set<Reply>>()
  #server: ScriptedServer | undefined
  #version = 100
  /** Paths of what was patched, in order. */
  readonly patched: string[] = []

  static async start(): Promise<Objects> {
    const objects = new Objects()
    objects.#server = await ScriptedServer.start((asked, reply) => objects.#answer(asked, reply))
    return objects
  }

  get server(): ScriptedServer {
    if (this.#server === undefined) throw new Error('not started')
    return this.#server
  }

  /** Creates or changes; `path` ends with `<plural>/<name>`. */
  put(path: string, object: Omit<KubeObject, 'metadata'> & { metadata: { name: string; namespace: string } }): void {
    this.#version += 1
    const old = this.#objects.get(path)
    const metadata = {
      ...object.metadata,
      uid: old?.metadata.uid ?? `uid-${this.#version}`,
      generation: (old?.metadata.generation ?? 0) + 1,
      resourceVersion: `${this.#version}`,
    }
    const status = old?.status
    this.#keep(path, { ...object, metadata, ...(status !== undefined && { status }) } as KubeObject)
  }

  get(path: string): KubeObject | undefined {
    return this.#objects.get(path)
  }

  remove(path: string): void {
    const old = this.#objects.get(path)
    if (old === undefined) return
    this.#version += 1
    this.#objects.delete(path)
    this.#tell(path, 'DELETED', { ...old, metadata: { ...old.metadata, resourceVersion: `${this.#version}` } })
  }

  condition(path: string, type: string): Condition | undefined {
    return conditions(this.#objects.get(path)).find((one) => one.type === type)
  }

  close(): void {
    this.server.close()
  }

  #keep(path: string, object: KubeObject): void {
    const old = this.#objects.get(path)
    this.#objects.set(path, object)
    this.#tell(path, old === undefined ? 'ADDED' : 'MODIFIED', object)
  }

  #tell(path: string, type: string, object: KubeObject): void {
    for (const reply of this.#watches.get(collection(path)) ?? []) reply.event(type, object)
  }

  #answer(asked: Asked, reply: Reply): void {
    const { method, path, query } = asked
    if (method === 'GET' && !/\/namespaces\/[^/]+\/[^/]+\/[^/]+$/u.test(path)) {
      const all = [...this.#objects].filter(([key]) => collection(key) === path).map(([, object]) => object)
      if (query.get('watch') !== 'true') {
        const metadata = { resourceVersion: `${this.#version}` }
        return reply.json(200, { kind: 'List', metadata, items: all })
      }
      reply.stream()
      if (query.get('sendInitialEvents') === 'true') {
        for (const object of all) reply.event('ADDED', object)
        const annotations = { 'k8s.io/initial-events-end': 'true' }
        reply.event('BOOKMARK', { metadata: { resourceVersion: `${this.#version}`, annotations } })
      }
      const watches = this.#watches.get(path) ?? new Set()
      this.#watches.set(path, watches.add(reply))
      return
    }
    const isStatus = path.endsWith('/status')
    const at = isStatus ? path.slice(0, -'/status'.length) : path
    const old = this.#objects.get(at)
    if (old === undefined) return reply.refuse(404, 'NotFound')
    const body = asked.body as KubeObject
    if (method === 'GET') return reply.json(200, old)
    this.#version += 1
    const metadata = { ...old.metadata, resourceVersion: `${this.#version}` }
    if (method === 'PUT') {
      if (body.metadata.resourceVersion !== old.metadata.resourceVersion) return reply.refuse(409, 'Conflict')
      this.#keep(at, { ...body, metadata })
    } else if (method === 'PATCH' && isStatus) {
      this.patched.push(at)
      const own = conditions(body)
      const others = conditions(old).filter((one) => own.every(({ type }) => type !== one.type))
      this.#keep(at, { ...old, metadata, status: { ...(old.status as object), conditions: [...others, ...own] } })
    } else return reply.refuse(405, 'MethodNotAllowed')
    return reply.json(200, this.#objects.get(at))
  }
}

/** The path that lists what is at this one, in all namespaces. */
function collection(path: string): string {
  return path.replace(/\/namespaces\/[^/]+/u, '').replace(/\/[^/]+$/u, '')
}

function conditions(object: KubeObject | undefined): readonly Condition[] {
  return (object?.status as { conditions?: readonly Condition[] } | undefined)?.conditions ?? []
}
