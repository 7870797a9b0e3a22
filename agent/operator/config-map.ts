// The ConfigMap that tells a proxy what it runs. Its text is canonical: the same config is the same text.

import { createHash } from 'node:crypto'
import type { KubeObject } from '../kube/object.ts'
import { printRunConfig, RUN_CONFIG, type RunConfig } from '../run-config.ts'
import { names, proxyLabels } from './label.ts'

/** `X-runconfig`, or `X-vmcp-config` of a virtual server. */
export function runConfigMap(config: RunConfig): KubeObject {
  const { kind, namespace, name } = config.self
  const text = printRunConfig(config)
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: names.config(kind, name),
      namespace,
      labels: {
        ...proxyLabels(kind, name),
        'toolhive.stacklok.io/component': 'run-config',
        'toolhive.stacklok.io/mcp-server': name,
      },
      annotations: { 'toolhive.stacklok.dev/content-checksum': createHash('sha256').update(text).digest('hex') },
    },
    data: { [RUN_CONFIG]: text },
  }
}
