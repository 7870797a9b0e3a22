// The two charts, installed as an admin does it: CRDs first, then the operator. One release for all files of a run, with the values of whoever
// installed last.

import { join, dirname } from 'node:path'
import { Refusal, call } from './bed/api.ts'
import { publishAgent, publishFixtures } from './image.ts'
import type { Shared } from './shared.ts'

export const SYSTEM = 'toolhive-system'
export const OPERATOR = 'toolhive-operator'

const root = dirname(dirname(import.meta.dirname))
const charts = join(root, 'charts')
/** Manifests and values as users know them. */
export const examples = join(root, 'examples/cluster')

const chart = (release: string, name: string): string[] => [
  'upgrade',
  '--install',
  release,
  join(charts, name),
  '-n',
  SYSTEM,
  '--create-namespace',
  '--wait',
]

/** Installs the CRDs; resolves when they are served. */
export function installCrds(shared: Shared): void {
  shared.helm(chart(`${OPERATOR}-crds`, 'waggle-crds'))
}

/** Publishes the images and installs the operator; resolves when it is ready. `values` replace those of the release before. */
export async function installOperator(shared: Shared, values: object = {}): Promise<void> {
  await publishFixtures(shared.tools.store)
  await publishAgent(shared.tools.store)
  shared.helm([...chart(OPERATOR, 'waggle-agent'), '--reset-values', '-f', '-'], JSON.stringify(values))
}

/** A ConfigMap of the operator's namespace, new or replaced. */
export async function configMap(shared: Shared, name: string, data: Readonly<Record<string, string>>): Promise<void> {
  const path = `/api/v1/namespaces/${SYSTEM}/configmaps`
  const body = { metadata: { name }, data }
  try {
    await call(shared.cluster, 'POST', path, body)
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 409) throw error
    await call(shared.cluster, 'PUT', `${path}/${name}`, body)
  }
}
