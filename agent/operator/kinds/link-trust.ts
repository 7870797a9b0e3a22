// Whom a server believes besides the virtual servers of its cluster, once that has joined an edge: the edge, which speaks for its
// callers, and the cluster's own uplink, which reads catalogs and speaks for nobody.
// Invariant: their keys are those of two ConfigMaps of the operator's own namespace; what stands elsewhere is nobody's.

import type { EndpointResource } from '../../../plan/address.ts'
import { publishes } from '../../../plan/publish.ts'
import { EDGE, uplinkIdentity } from '../../../plan/site.ts'
import { PUBLIC_KEYS, readJwks } from '../../jwks.ts'
import type { Signer } from '../../run-config.ts'
import { controllerOf } from '../../kube/owner.ts'
import type { World } from '../kind.ts'
import type { Settings } from '../settings.ts'

/** None for what is not published. A virtual server has no catalog of its own: the edge makes its own of the members'. */
export function linkSigners(resource: EndpointResource, world: World): Signer[] {
  const { edge, namespace, cluster } = world.settings
  if (edge === undefined || !publishes(resource)) return []
  const signer = (issuer: string, use: Signer['uses'][number], name: string): Signer[] => {
    const held = world.object('ConfigMap', namespace, name)
    // One that was made for a resource, which may have this name too, holds that one's keys.
    const isOurs = held !== undefined && controllerOf(held) === undefined
    const jwks = isOurs ? readJwks(held.data?.[PUBLIC_KEYS]) : undefined
    return jwks === undefined || jwks.keys.length === 0 ? [] : [{ issuer, uses: [use], jwks }]
  }
  return [
    ...signer(EDGE, 'call', edge.keysConfigMap),
    ...(resource.kind === 'VirtualMCPServer'
      ? []
      : signer(uplinkIdentity(cluster), 'catalog', edge.uplinkKeysConfigMap)),
  ]
}

/** Where the uplink is that may reach the resource's proxies; undefined: none may. */
export function uplinkNamespace(resource: EndpointResource, { edge, namespace }: Settings): string | undefined {
  return edge !== undefined && publishes(resource) ? namespace : undefined
}
