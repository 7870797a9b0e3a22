// Conditions as Kubernetes and ToolHive write them, and those that say whether what a resource names exists.

import type { Kind } from '../../crds/kinds.ts'
import { references, resolve, secretReferences } from '../../plan/references.ts'
import type { Resource } from '../../plan/resources.ts'
import type { Resources } from '../../plan/resources.ts'

export interface Condition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  /** One word in CamelCase, for programs. */
  readonly reason: string
  /** For people: what is wrong and what to do. */
  readonly message: string
}

/** `namespace/name` → the keys that the secret has; the sealed `Secrets` fit as they are. */
export type SecretKeys = ReadonlyMap<string, { has(key: string): boolean }>

/** ToolHive's condition for each kind that can be referred to. Its reasons begin with `stem`. */
const referenceConditions: readonly { readonly kind: Kind; readonly type: string; readonly stem: string }[] = [
  { kind: 'MCPGroup', type: 'GroupRefValidated', stem: 'GroupRef' },
  { kind: 'MCPOIDCConfig', type: 'OIDCConfigRefValidated', stem: 'OIDCConfigRef' },
  { kind: 'MCPToolConfig', type: 'ToolConfigValidated', stem: 'ToolConfigRef' },
  { kind: 'MCPExternalAuthConfig', type: 'ExternalAuthConfigValidated', stem: 'ExternalAuthConfigRef' },
]

/** Types of external auth that the edge can do. */
const servedAuth: readonly string[] = ['unauthenticated', 'headerInjection', 'bearerToken']

/** One condition per kind of configuration that the resource names: do all of those exist, and do they work here? */
export function checkReferences(
  resource: Resource,
  resources: Resources,
  secrets: SecretKeys | undefined,
): Condition[] {
  const named = references(resource)
  return referenceConditions.flatMap(({ kind, type, stem }) => {
    const here = named.filter(({ kinds }) => kinds.includes(kind))
    if (here.length === 0) return []
    const problems = here.flatMap((reference) => {
      const target = resolve(reference, resources)
      if (target === undefined)
        return [
          {
            reason: 'NotFound',
            message: `${reference.path}: there is no ${kind} ${reference.namespace}/${reference.name}`,
          },
        ]
      const problem = configProblem(target, secrets)
      return problem === undefined ? [] : [{ reason: 'NotValid', message: `${reference.path}: ${problem.message}` }]
    })
    const [first] = problems
    if (first === undefined) return [condition(type, 'True', `${stem}Valid`, 'every reference exists')]
    const message = problems.slice(0, 20).map((problem) => problem.message)
    return [condition(type, 'False', `${stem}${first.reason}`, message.join('; '))]
  })
}

/** Do the secrets that the resource names itself exist? Undefined when it names none or they are not known here. */
export function secretCondition(resource: Resource, secrets: SecretKeys | undefined): Condition | undefined {
  const wanted = secretReferences(resource)
  if (wanted.length === 0 || secrets === undefined) return undefined
  const missing = missingSecrets(resource, secrets)
  const type = 'HeaderSecretRefsValidated'
  if (missing.length === 0) return condition(type, 'True', 'HeaderSecretsValid', 'every secret exists')
  return condition(type, 'False', 'HeaderSecretNotFound', missing.join('; '))
}

/** Why a configuration does not work here; undefined when it does. */
export function configProblem(
  config: Resource,
  secrets: SecretKeys | undefined,
): { reason: string; message: string } | undefined {
  if (config.kind === 'MCPExternalAuthConfig' && !servedAuth.includes(config.spec.type)) {
    const message = `type ${config.spec.type} is not available at the edge yet; use ${servedAuth.join(', ')}`
    return { reason: 'NotAvailableAtEdge', message }
  }
  const missing = secrets === undefined ? [] : missingSecrets(config, secrets)
  return missing.length === 0 ? undefined : { reason: 'SecretNotFound', message: missing.join('; ') }
}

/** Short for a condition literal. */
export function condition(type: string, status: Condition['status'], reason: string, message: string): Condition {
  return { type, status, reason, message }
}

function missingSecrets(resource: Resource, secrets: SecretKeys): string[] {
  return secretReferences(resource)
    .filter(({ namespace, name, key }) => secrets.get(`${namespace}/${name}`)?.has(key) !== true)
    .map(({ path, namespace, name, key }) => {
      return `${path}: the secret ${namespace}/${name} has no key "${key}"; waggle secret set ${name} ${key}=- -n ${namespace}`
    })
}

/** A policy that is stated but cannot be enforced must not look enforced: callers are refused, and this says so. */
export function checkAuthorization(stated: {
  readonly authzConfig?: object | undefined
  readonly authzConfigRef?: object | undefined
}): Condition[] {
  if (stated.authzConfig === undefined && stated.authzConfigRef === undefined) return []
  const message = 'authzConfig is not enforced at the edge yet, so callers are refused; use a ToolPolicy instead'
  return [condition('AuthzConfigRefValidated', 'False', 'AuthzConfigNotAvailable', message)]
}
