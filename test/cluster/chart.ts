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

/** Arguments for `render`: one of the chart's own examples of values. */
export const values = (name: string): string[] => ['--values', join(charts.agent, 'ci', `${name}-values.yaml`)]

export const isOne = (kind: string, name?: string) => (object: KubeObject) =>
  object.kind === kind && (name === undefined || object.metadata.name === name)

/** Throws when there is none; of several the first. */
export function find(among: readonly KubeObject[], kind: string, name?: string): KubeObject {
  const found = among.find(isOne(kind, name))
  if (found === undefined) throw new Error(`no ${kind} ${name ?? ''} is rendered`)
  return found
}

export interface Container {
  readonly image: string
  readonly args: readonly string[]
  readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[]
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
}

/** The container of a Deployment; the operator's, which comes first, unless it is named. */
export function container(among: readonly KubeObject[], name?: string): Container {
  const { template } = find(among, 'Deployment', name).spec as { template: { spec: { containers: [Container] } } }
  return template.spec.containers[0]
}

export const environmentOf = (among: readonly KubeObject[], name?: string): Record<string, string | undefined> =>
  Object.fromEntries(container(among, name).env.map((one) => [one.name, one.value]))
