// The charts as the tests use them: rendered without a cluster, and read as objects.

import { dirname, join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import type { KubeObject } from '../../agent/kube/object.ts'
import { run } from './bed/shell.ts'
import type { Tools } from './bed/tools.ts'

const root = dirname(dirname(import.meta.dirname))

export const charts = { crds: join(root, 'charts/waggle-crds'), agent: join(root, 'charts/waggle-agent') } as const

/** Renders the operator's chart as the release `toolhive-operator` in `toolhive-system`. Throws with Helm's complaint. */
export function render({ helm }: Tools, ...values: readonly string[]): string {
  const namespace = ['--namespace', 'toolhive-system', '--kube-version', '1.36.0']
  return run([helm, 'template', 'toolhive-operator', charts.agent, ...namespace, ...values])
}

/** The objects of a YAML text; empty documents are left out. Throws when it is not YAML. */
export function objectsOf(text: string): KubeObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors[0] !== undefined) throw document.errors[0]
    const object = document.toJS() as KubeObject | null
    return object === null ? [] : [object]
  })
}
