// What a VirtualMCPServer asks for that needs a word: who may call, tools made of others, and fields that do nothing yet.

import type { GuardPlan } from '../../../plan/guard.ts'
import type { VirtualResource } from '../../../plan/members.ts'
import { resourceKey } from '../../../plan/resources.ts'
import type { ConditionDraft, World } from '../kind.ts'
import { lastCondition, no, yes } from './condition.ts'
import { serverAuth } from './endpoint.ts'
import { workflowProblems } from './workflow.ts'

/** `AuthConfigured`. Reason `Anonymous` harms nobody but should be known. */
export function incomingAuth(virtual: VirtualResource, guard: GuardPlan, world: World): ConditionDraft {
  const { incomingAuth: auth } = virtual.spec
  const condition = serverAuth(guard, auth?.oidcConfigRef, world)
  if (condition.status === 'True') return { ...condition, reason: 'IncomingAuthValid' }
  if (condition.reason !== 'Anonymous')
    return {
      ...condition,
      reason: 'IncomingAuthInvalid',
      message: condition.message.replace('spec.oidcConfigRef', 'spec.incomingAuth.oidcConfigRef'),
    }
  return auth?.type === 'anonymous'
    ? yes('AuthConfigured', 'IncomingAuthValid', 'everybody in this namespace may call: incomingAuth.type is anonymous')
    : { ...condition, message: condition.message.replace('spec.oidcConfigRef', 'spec.incomingAuth.oidcConfigRef') }
}

/** Conditions about what the virtual server names besides servers and settings. None of them keeps it from serving. */
export function virtualChecks(virtual: VirtualResource, world: World): ConditionDraft[] {
  const idle = withoutEffect(virtual)
  return [
    ...compositeTools(virtual, world),
    ...embeddingServer(virtual, world),
    ...(idle.length === 0
      ? []
      : [
          yes(
            'FieldsWithoutEffect',
            'NotAvailable',
            `accepted, and without effect in this version: ${idle.join(', ')}`,
          ),
        ]),
  ]
}

function compositeTools({ metadata, spec }: VirtualResource, world: World): ConditionDraft[] {
  const { compositeToolRefs = [], compositeTools: own = [] } = spec.config
  if (compositeToolRefs.length === 0 && own.length === 0) return []
  const type = 'CompositeToolRefsValidated'
  const named = compositeToolRefs.map(({ name }) => ({
    name,
    definition: world.resources.get(resourceKey('VirtualMCPCompositeToolDefinition', metadata.namespace, name)),
  }))
  const missing = named.filter(({ definition }) => definition === undefined).map(({ name }) => name)
  if (missing.length > 0)
    return [
      no(
        type,
        'CompositeToolRefNotFound',
        `there is no VirtualMCPCompositeToolDefinition ${missing.slice(0, 16).join(', ')}`,
      ),
    ]
  const broken = [
    ...named.flatMap(({ name, definition }) =>
      definition?.kind === 'VirtualMCPCompositeToolDefinition'
        ? workflowProblems(definition.spec).map((problem) => `${name}: ${problem}`)
        : [],
    ),
    ...own.flatMap((tool, i) =>
      workflowProblems(tool).map((problem) => `spec.config.compositeTools[${i}]: ${problem}`),
    ),
  ]
  if (broken.length > 0) return [no(type, 'CompositeToolRefInvalid', broken.slice(0, 16).join('; '))]
  return [yes(type, 'CompositeToolRefsValid', 'every composite tool is valid')]
}

function embeddingServer({ metadata, spec }: VirtualResource, world: World): ConditionDraft[] {
  const ref = spec.embeddingServerRef
  if (ref === undefined) return []
  const type = 'EmbeddingServerReady'
  const server = world.observed('EmbeddingServer', metadata.namespace, ref.name)
  if (server === undefined)
    return [no(type, 'EmbeddingServerRefNotFound', `there is no EmbeddingServer ${metadata.namespace}/${ref.name}`)]
  return lastCondition(server, 'Ready')?.status === 'True'
    ? [yes(type, 'EmbeddingServerReady', `EmbeddingServer ${ref.name} is ready`)]
    : [no(type, 'EmbeddingServerNotReady', `EmbeddingServer ${ref.name} is not ready yet`)]
}

/** Fields that somebody wrote and that change nothing yet. */
function withoutEffect({ spec }: VirtualResource): string[] {
  const { config } = spec
  const failure = config.operational?.failureHandling
  const audit = config.audit
  const fields: readonly (readonly [path: string, value: unknown])[] = [
    ['spec.config.compositeTools', config.compositeTools],
    ['spec.config.compositeToolRefs', config.compositeToolRefs],
    ['spec.config.rateLimiting', config.rateLimiting],
    ['spec.config.codeMode', config.codeMode],
    ['spec.config.optimizer', config.optimizer],
    ['spec.config.backends', config.backends],
    ['spec.config.outgoingAuth', config.outgoingAuth],
    ['spec.config.sessionStorage', config.sessionStorage],
    ['spec.config.telemetry', config.telemetry],
    ['spec.config.passthroughHeaders', config.passthroughHeaders],
    ['spec.config.operational.failureHandling.partialFailureMode', failure?.partialFailureMode],
    ['spec.config.audit.eventTypes', audit?.eventTypes],
    ['spec.config.audit.excludeEventTypes', audit?.excludeEventTypes],
    ['spec.config.audit.logFile', audit?.logFile],
    ['spec.passthroughHeaders', spec.passthroughHeaders],
    ['spec.embeddingServerRef', spec.embeddingServerRef],
    ['spec.sessionStorage', spec.sessionStorage?.provider === 'redis' ? spec.sessionStorage : undefined],
    ['spec.telemetry', spec.telemetry],
  ]
  return fields.filter(([, value]) => value !== undefined).map(([path]) => path)
}
