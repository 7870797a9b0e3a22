// The cluster of the benchmark, a process of its own: a real uplink that publishes one server and calls its proxy over HTTP.
import type { Published } from '../../plan/trim.ts'
import { HttpDoors } from '../../agent/uplink/door.ts'
import { Identity } from '../../agent/uplink/identity.ts'
import { Sessions } from '../../agent/uplink/session.ts'
import { Uplink } from '../../agent/uplink/uplink.ts'
import { readResource } from '../../crds/cluster.ts'
import { unwatched } from '../link/watch.ts'

export interface JoinOrder {
  readonly edge: string
  readonly cluster: string
  readonly token: string
  readonly manifest: object
  /** What the proxy publishes of its server. */
  readonly catalog: string
  /** Where the proxy is called. */
  readonly proxy: string
}

/** The edge lists the server. */
export interface Joined {
  readonly dropped: number
}

async function join({ edge, cluster, token, manifest, catalog, proxy }: JoinOrder): Promise<Joined> {
  const reading = readResource(manifest)
  if (!reading.ok) throw new Error(`the manifest is refused: ${JSON.stringify(reading.problems)}`)
  const resource = reading.resource as Published
  const { kind, metadata } = resource
  const host = { edge, cluster, replica: 'bench', joinToken: async () => token, fetch, now: Date.now }
  const door = new HttpDoors().door(proxy)
  const registered = Promise.withResolvers<Joined>()
  const uplink = new Uplink({
    fleet: {
      offers: () => [{ resource, uid: 'bench', catalog }],
      door: (target) => (target.kind === kind && target.name === metadata.name ? door : undefined),
    },
    sessions: new Sessions(host, await Identity.generate()),
    replica: 'bench',
    version: '0.0.0',
    ca: undefined,
    watch: {
      ...unwatched,
      lost: (reason) => registered.reject(new Error(reason)),
      registered: ({ dropped }) => registered.resolve({ dropped: dropped.size }),
      failed: (what, error) => registered.reject(new Error(`${what}: ${String(error)}`)),
    },
  })
  void uplink.run(new AbortController().signal, 0)
  uplink.lead(true)
  return registered.promise
}

process.on('message', (order: JoinOrder) => {
  join(order).then(
    (joined) => process.send?.(joined),
    (error: unknown) => process.send?.({ failed: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send?.({ ready: true })
