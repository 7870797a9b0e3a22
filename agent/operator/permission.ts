// spec.permissionProfile as far as Kubernetes can enforce it: ports and everything-or-nothing, not host names.

import { valueOf } from '../../plan/site.ts'
import type { ConditionDraft } from './kind.ts'
import type { Egress } from './network.ts'

interface ProfileRef {
  readonly type: 'builtin' | 'configmap'
  readonly name: string
  readonly key?: string | undefined
}

export interface Permission {
  readonly egress: Egress
  /** Undefined: no profile is named. */
  readonly condition: ConditionDraft | undefined
}

const TYPE = 'PermissionProfileApplied'
const yes = (message: string): ConditionDraft => ({ type: TYPE, status: 'True', reason: 'Applied', message })
const no = (reason: string, message: string): ConditionDraft => ({ type: TYPE, status: 'False', reason, message })

/** `read` gives a ConfigMap's data, undefined when there is none. A profile that cannot be read allows nothing. */
export function permission(
  ref: ProfileRef | undefined,
  read: (name: string) => Readonly<Record<string, string>> | undefined,
): Permission {
  if (ref === undefined) return { egress: 'network', condition: undefined }
  if (ref.type === 'builtin') {
    if (ref.name === 'none' || ref.name === 'network')
      return { egress: ref.name, condition: yes(`outgoing connections: ${ref.name}`) }
    return { egress: 'none', condition: no('UnknownProfile', 'spec.permissionProfile.name must be none or network') }
  }
  const data = read(ref.name)
  const entries = Object.entries(data ?? {})
  const text = ref.key === undefined ? (entries.length === 1 ? entries[0]?.[1] : undefined) : valueOf(data, ref.key)
  if (text === undefined) {
    const what =
      data === undefined ? 'does not exist' : `has no key ${ref.key ?? 'to choose: set spec.permissionProfile.key'}`
    return { egress: 'none', condition: no('ProfileNotFound', `the ConfigMap ${ref.name} ${what}`) }
  }
  return profile(text, ref.name)
}

function profile(text: string, name: string): Permission {
  const outbound = outboundOf(text)
  if (outbound === undefined)
    return {
      egress: 'none',
      condition: no('ProfileInvalid', `the ConfigMap ${name} holds no permission profile (JSON)`),
    }
  if (outbound['insecure_allow_all'] === true) return { egress: 'network', condition: yes('outgoing connections: all') }
  const given = outbound['allow_port']
  const ports = (Array.isArray(given) ? given : []).filter(
    (port): port is number => Number.isInteger(port) && port > 0 && port < 65_536,
  )
  const hosts: unknown = outbound['allow_host']
  const hasHosts = Array.isArray(hosts) && hosts.length > 0
  const egress: Egress = ports.length > 0 ? { ports } : hasHosts ? { ports: [443] } : 'none'
  if (!hasHosts)
    return {
      egress,
      condition: yes(ports.length > 0 ? `outgoing ports: ${ports.join(', ')}` : 'outgoing connections: none'),
    }
  return {
    egress,
    condition: no(
      'HostsNotEnforced',
      'Kubernetes knows no host names in network policies: ports are enforced, allow_host is not',
    ),
  }
}

/** `network.outbound` of ToolHive's profile; undefined when the text is none. */
function outboundOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const { network } = JSON.parse(text) as { network?: { outbound?: unknown } }
    const outbound = network?.outbound ?? {}
    return typeof outbound === 'object' ? (outbound as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
