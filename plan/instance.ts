// A server in clusters: its instances, how each is called over its cluster's link, and which rules hold for each.

import { instanceKey, type FleetMode } from '../gateway/catalog/fleet.ts'
import type { Rule } from '../gateway/policy.ts'
import { consents, serverKey, type ServerResource, type VirtualResource } from './members.ts'
import type { Resources } from './resources.ts'
import { rulesFor } from './rules.ts'
import { identity, type Site } from './site.ts'
import { respelled, toolConfig } from './tool-config.ts'

/** A server in one cluster, as the edge calls it. */
export interface InstancePlan {
  /** See `instanceKey`. */
  readonly server: string
  readonly cluster: string
  /** Its proxy, as the link names it: `http://link/<namespace>/<kind>/<name>`. */
  readonly url: string
  /** Of assertions for it. */
  readonly audience: string
  /** Digest of its catalog; undefined while it is not known. */
  readonly catalog: string | undefined
  /** When the edge saw it first, in milliseconds since the epoch. */
  readonly since: number
  readonly trustHints: boolean
  /** All rules that hold for it, those of the endpoint included. */
  readonly rules: readonly Rule[]
}

export interface FleetPlan {
  readonly mode: FleetMode
  readonly instances: readonly InstancePlan[]
}

/** The instances of a server that clusters published; undefined for servers of the site itself. */
export function fleetOf(
  server: ServerResource,
  resources: Resources,
  site: Site,
  virtual: VirtualResource | undefined,
): FleetPlan | undefined {
  const key = serverKey(server)
  const placed = site.fleets?.instances(key) ?? []
  if (placed.length === 0) return undefined
  const consenting = placed.filter(
    ({ server: one, cluster }) =>
      virtual === undefined ||
      (consents(one, virtual.metadata.namespace) && site.fleets?.reaches(virtual, cluster) === true),
  )
  const federation = 'waggle.dev/federation'
  const mode = virtual?.metadata.annotations?.[federation] ?? server.metadata.annotations?.[federation]
  return {
    mode: MODES.find((one) => one === mode) ?? 'addressable',
    instances: consenting.map(({ cluster, server: instance, catalog, since, resources: around }) => {
      const { kind, metadata, spec } = instance
      const { namespace, name } = metadata
      const at = { cluster, namespace }
      const ofVirtual =
        virtual === undefined ? [] : [resources, around].flatMap((one, nth) => rulesFor(virtual, one, at, `${nth} `))
      const ref = kind === 'MCPServerEntry' ? undefined : spec.toolConfigRef
      const own = ref === undefined ? [] : [toolConfig(namespace, ref.name, around)]
      return {
        server: instanceKey(key, cluster),
        cluster,
        url: `http://link/${namespace}/${kind}/${name}`,
        audience: identity({ cluster, kind, namespace, name }),
        catalog,
        since,
        trustHints: metadata.annotations?.['waggle.dev/trust-hints'] === 'true',
        rules: [...ofVirtual, ...PROXIED.flatMap((one) => rulesFor({ kind: one, metadata }, around, at))].map((rule) =>
          respelled(rule, own),
        ),
      }
    }),
  }
}

/** Instances of one name are one server: of whichever kind a policy says it is, it holds for all of them. */
const PROXIED = ['MCPServer', 'MCPRemoteProxy'] as const

const MODES = ['addressable', 'interchangeable', 'prefixed'] as const satisfies readonly FleetMode[]
