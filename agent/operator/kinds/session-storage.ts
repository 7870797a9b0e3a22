// What a resource says about the store of its sessions, and what becomes of that.

import type { ConditionDraft } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { no, yes } from './condition.ts'

/** `replicas`: of whatever there may be several of, the most. */
export function sessionStorage(
  replicas: number | undefined,
  storage: { readonly provider: string } | undefined,
  settings: Settings,
): ConditionDraft {
  const type = 'SessionStorageWarning'
  if (storage?.provider === 'redis' || (storage === undefined && settings.defaultRedis !== undefined)) {
    const message =
      'Redis is configured. Sessions are sealed into their ids, which every proxy can read; routing by Redis to one of several server pods comes in a later release'
    return no(type, 'SessionStorageConfigured', message)
  }
  if ((replicas ?? 1) > 1)
    return yes(
      type,
      'SessionStorageMissingForReplicas',
      'several replicas without spec.sessionStorage of provider redis: a session may reach a pod that does not know it',
    )
  return no(type, 'SessionStorageWarningNotApplicable', 'one replica needs no common store')
}
