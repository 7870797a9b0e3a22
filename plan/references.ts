// Which other resources and secrets a resource names. Everything it names is in its own namespace, except a virtual server's backends.

import { commaList } from '../crds/annotation.ts'
import type { Kind } from '../crds/kinds.ts'
import { resourceKey, type Resource, type Resources } from './resources.ts'

export interface Reference {
  /** The field that names it, such as `spec.oidcConfigRef.name`. */
  readonly path: string
  /** What it may be; the first that exists is meant. */
  readonly kinds: readonly Kind[]
  readonly namespace: string
  readonly name: string
}

/** A key of a Secret. */
export interface SecretRef {
  readonly namespace: string
  readonly name: string
  readonly key: string
}

export interface SecretReference extends SecretRef {
  readonly path: string
}

/** Kinds that are servers, in the order in which one is looked for by its name alone. */
export const serverKinds = ['MCPServer', 'MCPRemoteProxy', 'MCPServerEntry'] as const

const additionalOidc = 'waggle.dev/additional-oidc-configs'

/** Every resource that this one names, whether it exists or not. */
export function references(resource: Resource): Reference[] {
  const { namespace } = resource.metadata
  const found: Reference[] = []
  const note = (path: string, kind: Kind, ref: { readonly name: string } | undefined): void => {
    if (ref !== undefined) found.push({ path: `${path}.name`, kinds: [kind], namespace, name: ref.name })
  }
  switch (resource.kind) {
    case 'MCPServer':
    case 'MCPRemoteProxy': {
      const { groupRef, oidcConfigRef, externalAuthConfigRef, toolConfigRef } = resource.spec
      note('spec.groupRef', 'MCPGroup', groupRef)
      note('spec.oidcConfigRef', 'MCPOIDCConfig', oidcConfigRef)
      note('spec.externalAuthConfigRef', 'MCPExternalAuthConfig', externalAuthConfigRef)
      note('spec.toolConfigRef', 'MCPToolConfig', toolConfigRef)
      note('spec.authzConfigRef', 'MCPAuthzConfig', resource.spec.authzConfigRef)
      note('spec.telemetryConfigRef', 'MCPTelemetryConfig', resource.spec.telemetryConfigRef)
      if (resource.kind === 'MCPServer')
        note('spec.webhookConfigRef', 'MCPWebhookConfig', resource.spec.webhookConfigRef)
      break
    }
    case 'MCPServerEntry': {
      note('spec.groupRef', 'MCPGroup', resource.spec.groupRef)
      note('spec.externalAuthConfigRef', 'MCPExternalAuthConfig', resource.spec.externalAuthConfigRef)
      break
    }
    case 'VirtualMCPServer': {
      const { groupRef, backends = [], incomingAuth, outgoingAuth, config } = resource.spec
      note('spec.groupRef', 'MCPGroup', groupRef)
      for (const [i, backend] of backends.entries())
        found.push({
          path: `spec.backends[${i}].name`,
          kinds: serverKinds,
          namespace: backend.namespace ?? namespace,
          name: backend.name,
        })
      note('spec.incomingAuth.oidcConfigRef', 'MCPOIDCConfig', incomingAuth?.oidcConfigRef)
      note('spec.incomingAuth.authzConfigRef', 'MCPAuthzConfig', incomingAuth?.authzConfigRef)
      note('spec.telemetryConfigRef', 'MCPTelemetryConfig', resource.spec.telemetryConfigRef)
      note('spec.embeddingServerRef', 'EmbeddingServer', resource.spec.embeddingServerRef)
      for (const [i, tool] of (config.compositeToolRefs ?? []).entries())
        note(`spec.config.compositeToolRefs[${i}]`, 'VirtualMCPCompositeToolDefinition', tool)
      for (const name of commaList(resource.metadata.annotations?.[additionalOidc]))
        found.push({ path: `metadata.annotations["${additionalOidc}"]`, kinds: ['MCPOIDCConfig'], namespace, name })
      const auth = 'externalAuthConfigRef'
      note(`spec.outgoingAuth.default.${auth}`, 'MCPExternalAuthConfig', outgoingAuth?.default?.[auth])
      for (const [key, backend] of Object.entries(outgoingAuth?.backends ?? {}))
        note(`spec.outgoingAuth.backends["${key}"].${auth}`, 'MCPExternalAuthConfig', backend[auth])
      for (const [i, tool] of (config.aggregation.tools ?? []).entries())
        note(`spec.config.aggregation.tools[${i}].toolConfigRef`, 'MCPToolConfig', tool.toolConfigRef)
      break
    }
    case 'ToolPolicy': {
      const { kind, name } = resource.spec.targetRef
      found.push({ path: 'spec.targetRef.name', kinds: [kind], namespace, name })
      break
    }
    default:
      // Configurations name no other resources.
      break
  }
  return found
}

/** Every secret value that this resource needs by itself (not what the configurations it names need). */
export function secretReferences(resource: Resource): SecretReference[] {
  const { namespace } = resource.metadata
  const found: SecretReference[] = []
  const note = (path: string, ref: { readonly name: string; readonly key: string } | undefined): void => {
    if (ref !== undefined) found.push({ path, namespace, name: ref.name, key: ref.key })
  }
  switch (resource.kind) {
    case 'MCPRemoteProxy':
    case 'MCPServerEntry':
      for (const [i, header] of (resource.spec.headerForward?.addHeadersFromSecret ?? []).entries())
        note(`spec.headerForward.addHeadersFromSecret[${i}].valueSecretRef`, header.valueSecretRef)
      break
    case 'MCPExternalAuthConfig':
      note('spec.bearerToken.tokenSecretRef', resource.spec.bearerToken?.tokenSecretRef)
      note('spec.headerInjection.valueSecretRef', resource.spec.headerInjection?.valueSecretRef)
      note('spec.tokenExchange.clientSecretRef', resource.spec.tokenExchange?.clientSecretRef)
      break
    case 'MCPOIDCConfig':
      note('spec.inline.clientSecretRef', resource.spec.inline?.clientSecretRef)
      break
    default:
      break
  }
  return found
}

/** What a reference means, if it exists. */
export function resolve(reference: Reference, resources: Resources): Resource | undefined {
  for (const kind of reference.kinds) {
    const found = resources.get(resourceKey(kind, reference.namespace, reference.name))
    if (found !== undefined) return found
  }
  return undefined
}

/** The resources that name `target`, with the field that does. */
export function referrers(target: Resource, resources: Resources): { resource: Resource; path: string }[] {
  const found: { resource: Resource; path: string }[] = []
  for (const resource of resources.values()) {
    const reference = references(resource).find(
      ({ kinds, namespace, name }) =>
        name === target.metadata.name && namespace === target.metadata.namespace && kinds.includes(target.kind),
    )
    if (reference !== undefined) found.push({ resource, path: reference.path })
  }
  return found
}
