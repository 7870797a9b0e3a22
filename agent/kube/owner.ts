// Who owns an object: exactly one controller, by uid, in the same namespace. Owners in another namespace do not exist:
// the garbage collector would take their objects for orphans.

import type { KubeObject, OwnerReference } from './object.ts'

/** The reference that makes `owner` the controller of what carries it, so that it goes with its owner. */
export function controllerReference(owner: KubeObject): OwnerReference {
  const { name, uid } = owner.metadata
  if (uid === undefined) throw new TypeError(`metadata.uid: ${owner.kind} "${name}" has none; only what exists can own`)
  return { apiVersion: owner.apiVersion, kind: owner.kind, name, uid, controller: true, blockOwnerDeletion: true }
}

export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true)
}

/** An index for informers: objects by the uid of their controller. */
export function byController(object: KubeObject): string[] {
  const uid = controllerOf(object)?.uid
  return uid === undefined ? [] : [uid]
}
