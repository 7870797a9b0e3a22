// Resources made from short manifests, for tests only: through the same parser and planner as an apply.

import { parseManifest } from '../../crds/manifest.ts'
import { planApply } from './plan.ts'
import type { Manifest } from './plan.ts'
import { resourceKey } from '../../plan/resources.ts'
import type { ResourceDocument, StoredResource } from './resources.ts'

export const emptyDocument: ResourceDocument = { revision: 0, resources: new Map() }

/** A manifest as an admin would send it; `place` is `namespace/name`. */
export function manifest(kind: string, place: string, spec: object, metadata: object = {}): object {
  const [namespace, name] = place.split('/')
  const apiVersion = kind === 'ToolPolicy' ? 'waggle.dev/v1alpha1' : 'toolhive.stacklok.dev/v1beta1'
  return { apiVersion, kind, metadata: { namespace, name, ...metadata }, spec }
}

/** Throws when the schema refuses it. */
export function parsed(input: object): Manifest {
  const result = parseManifest(input)
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result
}

/** What the document would be after an apply of `inputs`. Throws when the plan refuses. */
export function applied(inputs: readonly object[], current = emptyDocument): ResourceDocument {
  const plan = planApply(current, inputs.map(parsed), Date.UTC(2026, 10, 1), () => 'uid')
  if (plan.kind === 'refused') throw new Error(`${plan.message} ${JSON.stringify(plan.problems)}`)
  return plan.next ?? current
}

/** One resource of a document. Throws when it is not there. */
export function pick({ resources }: ResourceDocument, kind: string, place: string): StoredResource {
  const [namespace = '', name = ''] = place.split('/')
  const found = resources.get(resourceKey(kind, namespace, name))
  if (found === undefined) throw new Error(`no ${kind}/${place}`)
  return found
}
