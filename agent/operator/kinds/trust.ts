// Whom a server believes when it says for whom it calls: the virtual servers that may use it, and nobody else.
// Invariant: a key is trusted only where its virtual server is a virtual server of this server, across namespaces only while the
// server's owner consents (both decided by `members`), and only as the issuer that the operator made it for. What stands under
// the name of its keys and is not its own is nobody's.

import type { JSONWebKeySet } from 'jose'
import * as z from 'zod'
import { members, type ServerResource, type VirtualResource } from '../../../plan/members.ts'
import { resourceKey, type Resource, type Resources } from '../../../plan/resources.ts'
import { identity } from '../../../plan/site.ts'
import { PUBLIC_KEYS, readJwks } from '../../jwks.ts'
import type { Signer } from '../../run-config.ts'
import type { KeyDraft, World } from '../kind.ts'
import { controllerOf } from '../../kube/owner.ts'
import { components, names, type ProxiedKind } from '../label.ts'

/** What is public of the keys that were made for a resource. */
export interface Keys {
  /** Names of the Secrets, by purpose. */
  readonly secrets: Readonly<Partial<Record<KeyDraft['purpose'], string>>>
  /** Public signing keys; more than one while a key is replaced. */
  readonly jwks: JSONWebKeySet
}

const Secrets = z.object({ signing: z.string().optional(), sealing: z.string().optional() })
/** The keys of the resource `namespace/name`, as far as they have been made. */
export function keysOf(world: Pick<World, 'object' | 'observed'>, namespace: string, name: string): Keys {
  const held = world.object('ConfigMap', namespace, names.keys(name))
  const owner = held === undefined ? undefined : controllerOf(held)
  const isOwn =
    owner !== undefined &&
    Object.hasOwn(components, owner.kind) &&
    owner.uid === world.observed(owner.kind as ProxiedKind, namespace, name)?.uid
  const data = isOwn ? held?.data : undefined
  const { signing, sealing } = Secrets.safeParse(parse(data?.['secrets.json'])).data ?? {}
  return {
    secrets: { ...(signing !== undefined && { signing }), ...(sealing !== undefined && { sealing }) },
    jwks: readJwks(data?.[PUBLIC_KEYS]) ?? { keys: [] },
  }
}

/** The virtual servers whose assertions `server` accepts; those whose key is not made yet come later. */
export function signersOf(server: ServerResource, world: World): Signer[] {
  return usersOf(server, world).flatMap((virtual) => {
    const { namespace, name } = virtual.metadata
    const { jwks } = keysOf(world, namespace, name)
    return jwks.keys.length === 0
      ? []
      : [
          {
            issuer: identity({ cluster: world.settings.cluster, kind: virtual.kind, namespace, name }),
            uses: ['call', 'catalog'],
            jwks,
          },
        ]
  })
}

/** The virtual servers that a server is a member of, by key. */
export function usersOf(server: ServerResource, world: World): readonly VirtualResource[] {
  const { kind, metadata } = server
  return userIndex(world.resources).get(resourceKey(kind, metadata.namespace, metadata.name)) ?? []
}

// Resources are never changed in place, so what is derived from them lives as long as they do.
const indexes = new WeakMap<Resources, ReadonlyMap<string, VirtualResource[]>>()

function userIndex(resources: Resources): ReadonlyMap<string, VirtualResource[]> {
  const known = indexes.get(resources)
  if (known !== undefined) return known
  const index = new Map<string, VirtualResource[]>()
  const virtuals = [...resources.values()].filter((one) => one.kind === 'VirtualMCPServer')
  for (const virtual of virtuals.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))) {
    for (const { kind, metadata } of members(virtual, resources).servers) {
      const key = resourceKey(kind, metadata.namespace, metadata.name)
      index.set(key, [...(index.get(key) ?? []), virtual])
    }
  }
  indexes.set(resources, index)
  return index
}

/** Namespaces besides its own whose virtual servers use a server. */
export function usingNamespaces(server: ServerResource, world: World): string[] {
  const namespaces = usersOf(server, world).map(({ metadata }) => metadata.namespace)
  return [...new Set(namespaces)].filter((one) => one !== server.metadata.namespace).sort()
}

/** The members of `kind` that must be planned again because a virtual server changed; none for any other change. */
export function memberKeys(changed: Resource, world: World, kind: ServerResource['kind']): string[] {
  if (changed.kind !== 'VirtualMCPServer') return []
  return members(changed, world.resources)
    .servers.filter((server) => server.kind === kind)
    .map((server) => resourceKey(kind, server.metadata.namespace, server.metadata.name))
}

function keyOf({ metadata: { namespace, name } }: Resource): string {
  return `${namespace}/${name}`
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}
