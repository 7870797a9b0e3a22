// What an MCPServer asks for that needs a word: capped replicas, sessions without a common store, limits that nobody counts yet.

import type { Resource } from '../../../plan/resources.ts'
import type { ConditionDraft } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { no, yes } from './condition.ts'
import { sessionStorage } from './session-storage.ts'

type Server = Extract<Resource, { kind: 'MCPServer' }>

/** Conditions that follow from the spec alone. */
export function serverChecks({ spec }: Server, settings: Settings): ConditionDraft[] {
  return [
    ...(spec.transport === 'stdio' ? [stdioReplicas(spec)] : []),
    sessionStorage(Math.max(spec.replicas ?? 1, spec.backendReplicas ?? 1), spec.sessionStorage, settings),
    ...(spec.rateLimiting === undefined ? [] : rateLimits(spec)),
    ...transport(spec),
  ]
}

function stdioReplicas({ replicas = 1, backendReplicas = 1 }: Server['spec']): ConditionDraft {
  return replicas > 1 || backendReplicas > 1
    ? yes(
        'StdioReplicaCapped',
        'StdioTransportCapAt1',
        'a stdio server has one client: one proxy and one pod run, whatever spec.replicas and spec.backendReplicas say',
      )
    : no('StdioReplicaCapped', 'StdioReplicaCapNotActive', 'one proxy and one pod are asked for')
}

function rateLimits({ rateLimiting, oidcConfigRef, externalAuthConfigRef }: Server['spec']): ConditionDraft[] {
  const perUser =
    rateLimiting?.perUser !== undefined || rateLimiting?.tools?.some((tool) => tool.perUser !== undefined) === true
  if (perUser && oidcConfigRef === undefined && externalAuthConfigRef === undefined)
    return [
      no(
        'RateLimitConfigValid',
        'PerUserRequiresAuth',
        'limits per user need callers that are known: set spec.oidcConfigRef',
      ),
    ]
  return [
    yes('RateLimitConfigValid', 'RateLimitConfigValid', 'the limits are valid'),
    no('RateLimitEnforced', 'NotAvailable', 'spec.rateLimiting is accepted; this version counts no calls yet'),
  ]
}

function transport({ transport: kind }: Server['spec']): ConditionDraft[] {
  if (kind === 'streamable-http') return []
  return [
    no(
      'TransportServed',
      'NotAvailable',
      `transport ${kind} is accepted and its pods run; their proxy comes in a later release, and calls are refused until then. Servers that can, should use streamable-http`,
    ),
  ]
}
