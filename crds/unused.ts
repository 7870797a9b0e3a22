// Fields that the edge accepts and keeps but does not act on. Each one present in a manifest gives a warning, so that nothing is
// ignored in silence; a feature that starts to use a field removes its line here.
import type { Kind } from './kinds.ts'
import { isTree, type Tree } from './plain.ts'
import { formatPath, type Problem } from './problem.ts'

const cluster = 'shapes pods and services in a cluster; it is not used at the edge'
const later = 'is not used at the edge yet'
const audit = 'is not used at the edge: it audits every request'
const policy = 'is not enforced at the edge yet: the edge refuses callers of this resource; use a ToolPolicy instead'
const resolved = 'is what an operator writes into a configuration; it is not used at the edge'

const pods = {
  podTemplateSpec: cluster,
  proxyPort: cluster,
  replicas: cluster,
  serviceAccount: cluster,
  sessionAffinity: cluster,
  sessionStorage: cluster,
  telemetry: later,
  telemetryConfigRef: later,
}

const unused: Readonly<Partial<Record<Kind, Readonly<Record<string, string>>>>> = {
  MCPRemoteProxy: {
    ...pods,
    audit,
    authServerRef: later,
    authzConfig: policy,
    authzConfigRef: policy,
    endpointPrefix: cluster,
    resourceOverrides: cluster,
    resources: cluster,
    trustProxyHeaders: cluster,
  },
  MCPServerEntry: { caBundleRef: later },
  VirtualMCPServer: {
    ...pods,
    authServerConfig: later,
    'config.audit': audit,
    'config.backends': 'is not used at the edge; write an MCPServerEntry for each and name them in spec.backends',
    'config.codeMode': later,
    'config.compositeToolRefs': later,
    'config.compositeTools': later,
    'config.incomingAuth': `${resolved}; write spec.incomingAuth`,
    'config.metadata': later,
    'config.name': resolved,
    'config.operational.failureHandling.healthCheckInterval': later,
    'config.operational.failureHandling.healthCheckTimeout': later,
    'config.operational.failureHandling.partialFailureMode': later,
    'config.operational.failureHandling.statusReportingInterval': later,
    'config.operational.failureHandling.unhealthyThreshold': later,
    'config.operational.logLevel': later,
    'config.optimizer': later,
    'config.outgoingAuth': `${resolved}; write spec.outgoingAuth`,
    'config.passthroughHeaders': `${resolved}; write spec.passthroughHeaders`,
    'config.rateLimiting': later,
    'config.sessionStorage': cluster,
    'config.telemetry': later,
    embeddingServerRef: later,
    imagePullSecrets: cluster,
    'incomingAuth.authzConfig': policy,
    'incomingAuth.authzConfigRef': policy,
    passthroughHeaders: later,
    serviceType: cluster,
  },
  MCPGroup: {},
  MCPOIDCConfig: {
    'inline.caBundleRef': later,
    'inline.jwksAuthTokenPath': cluster,
  },
  MCPToolConfig: {},
  MCPExternalAuthConfig: {},
  ToolPolicy: {},
}

const servedAuth = ['unauthenticated', 'headerInjection', 'bearerToken']

/** Warnings for the fields of `spec`, as its author gave them, that do nothing at the edge. */
export function unusedFields(kind: Kind, spec: Tree): Problem[] {
  const warnings: Problem[] = []
  for (const [dotted, message] of Object.entries(unused[kind] ?? {})) {
    const path = dotted.split('.')
    if (isGiven(spec, path)) warnings.push({ path: formatPath(['spec', ...path]), message })
  }
  const type = spec['type']
  if (kind === 'MCPExternalAuthConfig' && typeof type === 'string' && !servedAuth.includes(type)) {
    warnings.push({
      path: 'spec.type',
      message: `is not available at the edge yet; servers that name this config are not called. Available: ${servedAuth.join(', ')}`,
    })
  }
  if (kind === 'MCPOIDCConfig' && type === 'kubernetesServiceAccount') {
    warnings.push({
      path: 'spec.type',
      message:
        'is not available at the edge yet; endpoints that name this config refuse their callers. Available: inline',
    })
  }
  if (kind === 'ToolPolicy' && Array.isArray(spec['rules'])) {
    for (const [index, item] of spec['rules'].entries()) {
      if (isTree(item)) warnings.push(...unusedInRule(item, ['spec', 'rules', index]))
    }
  }
  return warnings
}

function unusedInRule(item: Tree, path: readonly PropertyKey[]): Problem[] {
  const fields = Object.keys(item)
  if (fields.length === 1) return [{ path: formatPath(path), message: 'asks for nothing, so it changes nothing' }]
  return ['pinning']
    .filter((field) => fields.includes(field))
    .map((field) => ({ path: formatPath([...path, field]), message: later }))
}

function isGiven(spec: Tree, path: readonly string[]): boolean {
  let tree: Tree = spec
  for (const [index, field] of path.entries()) {
    if (!Object.hasOwn(tree, field)) return false
    if (index === path.length - 1) return true
    const next = tree[field]
    if (!isTree(next)) return false
    tree = next
  }
  return false
}
