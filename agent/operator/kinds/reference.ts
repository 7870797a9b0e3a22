// Whether what a resource names is there and can be acted upon, as conditions. What is missing may still come, so it is waited
// for; what is invalid needs a human. A missing group or telemetry stops nobody; any other broken reference does.

import type { Kind } from '../../../crds/kinds.ts'
import { references, resolve, type Reference } from '../../../plan/references.ts'
import type { Resource } from '../../../plan/resources.ts'
import type { ConditionDraft, World } from '../kind.ts'
import { no, yes } from './condition.ts'
import { configHash, type Verdict } from './config.ts'
import { judgeAuthz } from './mcp-authz-config.ts'
import { judgeExternalAuth } from './mcp-external-auth-config.ts'
import { judgeOidc } from './mcp-oidc-config.ts'
import { judgeTelemetry } from './mcp-telemetry-config.ts'
import { judgeTools } from './mcp-tool-config.ts'
import { judgeWebhooks } from './mcp-webhook-config.ts'

/** How well a resource stands with what it names. */
export interface References {
  readonly conditions: readonly ConditionDraft[]
  /** Fields of the status: hashes of the configurations in use. */
  readonly hashes: Readonly<Record<string, string>>
  /** The first condition that keeps the resource from doing its work. */
  readonly broken: ConditionDraft | undefined
  /** `broken` stays so until a human acts; otherwise something named is only not there yet. */
  readonly stalled: boolean
}

interface Rule {
  readonly kind: Kind
  readonly type: string
  readonly good: string
  readonly missing: string
  readonly bad: string
  /** Field of the status for the hash. */
  readonly hash?: string
  /** Nothing is unsafe or wrong without it. */
  readonly harmless?: boolean
}

const rule = (kind: Rule['kind'], type: string, stem: string, more: Partial<Rule> = {}): Rule => ({
  kind,
  type,
  good: `${stem}Valid`,
  missing: `${stem}NotFound`,
  bad: `${stem}NotValid`,
  ...more,
})

const rules: readonly Rule[] = [
  rule('MCPGroup', 'GroupRefValidated', 'GroupRef', {
    good: 'GroupRefIsValid',
    bad: 'GroupRefNotReady',
    harmless: true,
  }),
  rule('MCPOIDCConfig', 'OIDCConfigRefValidated', 'OIDCConfigRef', { hash: 'oidcConfigHash' }),
  rule('MCPAuthzConfig', 'AuthzConfigRefValidated', 'AuthzConfigRef', { hash: 'authzConfigHash' }),
  rule('MCPExternalAuthConfig', 'ExternalAuthConfigValidated', 'ExternalAuthConfigRef', {
    hash: 'externalAuthConfigHash',
  }),
  rule('MCPToolConfig', 'ToolConfigValidated', 'ToolConfigRef', { hash: 'toolConfigHash' }),
  rule('MCPTelemetryConfig', 'TelemetryConfigRefValidated', 'TelemetryConfigRef', {
    hash: 'telemetryConfigHash',
    harmless: true,
  }),
  rule('MCPWebhookConfig', 'WebhookConfigValidated', 'WebhookConfig', {
    bad: 'WebhookConfigInvalid',
    hash: 'webhookConfigHash',
  }),
]

/** One condition for each kind of configuration that `resource` names. */
export function checkReferences(resource: Resource, world: World): References {
  const named = references(resource)
  const conditions: ConditionDraft[] = []
  const hashes: Record<string, string> = {}
  let broken: ConditionDraft | undefined
  let stalled = false
  for (const one of rules) {
    const here = named.filter(({ kinds }) => kinds.includes(one.kind))
    if (here.length === 0) continue
    const { condition, hash } = check(one, here, world)
    conditions.push(condition)
    if (one.hash !== undefined && hash !== undefined) hashes[one.hash] = hash
    if (condition.status === 'True' || isHarmless(one, resource) || broken !== undefined) continue
    broken = condition
    stalled = condition.reason !== one.missing
  }
  for (const condition of unavailable(resource)) {
    conditions.push(condition)
    broken ??= condition
    stalled ||= broken === condition
  }
  return { conditions, hashes, broken, stalled }
}

/** A virtual server goes on without the servers whose own settings are broken: those are left out by themselves. */
function isHarmless({ kind, harmless = false }: Rule, resource: Resource): boolean {
  return harmless || (resource.kind === 'VirtualMCPServer' && partial.has(kind))
}

const partial: ReadonlySet<Kind> = new Set(['MCPExternalAuthConfig', 'MCPToolConfig'])

/** What is written into the resource itself and cannot be done; whoever asks for it is refused instead. */
function unavailable(resource: Resource): ConditionDraft[] {
  const found: ConditionDraft[] = []
  const policies = (path: string): void => {
    const message = `${path}: Cedar policies are not evaluated in this version, so every caller is refused; use a ToolPolicy`
    found.push(no('AuthzConfigRefValidated', 'AuthzConfigNotAvailable', message))
  }
  const server = 'the embedded authorization server is not available in this version'
  if (resource.kind === 'MCPServer' || resource.kind === 'MCPRemoteProxy') {
    if (resource.spec.authzConfig !== undefined) policies('spec.authzConfig')
    if (resource.spec.authServerRef !== undefined)
      found.push(no('AuthServerRefValidated', 'InvalidType', `spec.authServerRef: ${server}; use spec.oidcConfigRef`))
  }
  if (resource.kind === 'VirtualMCPServer') {
    if (resource.spec.incomingAuth?.authzConfig !== undefined) policies('spec.incomingAuth.authzConfig')
    if (resource.spec.authServerConfig !== undefined)
      found.push(
        no('AuthServerConfigValidated', 'NotSupported', `spec.authServerConfig: ${server}; use spec.incomingAuth`),
      )
  }
  return found
}

function check(
  { kind, type, good, missing, bad }: Rule,
  named: readonly Reference[],
  world: World,
): { condition: ConditionDraft; hash: string | undefined } {
  const hashes: string[] = []
  const wrong: { readonly reason: string; readonly message: string }[] = []
  for (const reference of named) {
    const target = resolve(reference, world.resources)
    const place = `${reference.namespace}/${reference.name}`
    if (target === undefined) {
      wrong.push({ reason: missing, message: `${reference.path}: there is no ${kind} ${place}` })
      continue
    }
    hashes.push(configHash(target))
    const verdict = judge(target, world)
    if (verdict?.valid === false)
      wrong.push({ reason: bad, message: `${reference.path}: ${place}: ${verdict.message}` })
  }
  const [first] = wrong
  const message = wrong
    .slice(0, MOST_NAMED)
    .map((one) => one.message)
    .join('; ')
  return {
    condition: first === undefined ? yes(type, good, names(named)) : no(type, first.reason, message),
    hash: hashes.length === 0 ? undefined : hashes.slice(0, MOST_HASHES).join('.'),
  }
}

/** What fits into the field. */
const MOST_HASHES = 14
/** A status is no log: of many, the first are named. */
const MOST_NAMED = 16

function names(named: readonly Reference[]): string {
  const found = [...new Set(named.map(({ name }) => name))]
  const more = found.length - MOST_NAMED
  return `${found.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function judge(target: Resource, world: World): Verdict | undefined {
  switch (target.kind) {
    case 'MCPOIDCConfig':
      return judgeOidc(target, world)
    case 'MCPExternalAuthConfig':
      return judgeExternalAuth(target)
    case 'MCPToolConfig':
      return judgeTools(target)
    case 'MCPAuthzConfig':
      return judgeAuthz(target)
    case 'MCPTelemetryConfig':
      return judgeTelemetry(target, world)
    case 'MCPWebhookConfig':
      return judgeWebhooks(target)
    default:
      return undefined
  }
}
