// Variables that spec.resourceOverrides asks for and a proxy does not get: they are left out, and said so.

import type { ConditionDraft } from '../kind.ts'
import { isReserved, type Overrides } from '../proxy.ts'
import { no } from './condition.ts'

export function proxyEnvironment(overrides: Overrides | undefined): ConditionDraft[] {
  const names = (overrides?.proxyDeployment?.env ?? []).map(({ name }) => name).filter(isReserved)
  if (names.length === 0) return []
  const message = `spec.resourceOverrides.proxyDeployment.env: ${names.slice(0, 16).join(', ')} would change what the proxy enforces, and is left out`
  return [no('ProxyEnvironmentApplied', 'ReservedVariables', message)]
}
