// The status of a server: is its configuration whole, and does it answer?

import { checkAuthorization, checkReferences, condition, secretCondition } from './condition.ts'
import type { Condition, SecretKeys } from './condition.ts'
import { remoteCondition } from './health.ts'
import type { HealthMap } from './health.ts'
import { serverKey } from '../../plan/members.ts'
import type { ServerResource } from '../../plan/members.ts'
import type { Resources } from '../../plan/resources.ts'

export type ServerStatus = {
  readonly phase: 'Ready' | 'Valid' | 'Pending' | 'Failed'
  readonly message?: string
  readonly conditions: readonly Condition[]
}

/** An MCPServerEntry that works is `Valid`, an MCPRemoteProxy `Ready`: so ToolHive calls them. */
export function serverStatus(
  server: ServerResource,
  resources: Resources,
  health: HealthMap,
  secrets: SecretKeys | undefined,
): ServerStatus {
  const remote = remoteCondition(health.get(serverKey(server)))
  const secret = secretCondition(server, secrets)
  const checks = [
    ...checkReferences(server, resources, secrets),
    ...(secret === undefined ? [] : [secret]),
    ...(server.kind === 'MCPRemoteProxy' ? checkAuthorization(server.spec) : []),
    remote,
  ]
  // As in ToolHive a missing group does not stop a server; every other missing part does.
  const broken = checks.find(({ type, status }) => status === 'False' && type !== 'GroupRefValidated')
  if (broken !== undefined) {
    const reason = broken === remote ? 'RemoteUnavailable' : 'NotReady'
    const ready = condition('Ready', 'False', reason, broken.message)
    return { phase: 'Failed', message: broken.message, conditions: [ready, ...checks] }
  }
  if (remote.status === 'Unknown') {
    const ready = condition('Ready', 'Unknown', 'Pending', remote.message)
    return { phase: 'Pending', message: remote.message, conditions: [ready, ...checks] }
  }
  const ready = condition('Ready', 'True', 'Running', remote.message)
  return { phase: server.kind === 'MCPServerEntry' ? 'Valid' : 'Ready', conditions: [ready, ...checks] }
}
