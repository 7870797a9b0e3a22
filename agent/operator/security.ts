// The `restricted` level of Pod Security, for every pod the operator creates.

import type { Settings } from './settings.ts'

const USER = 1000

/** `securityContext` of a pod. OpenShift gives user ids itself and refuses others. */
export function podSecurity(settings: Settings): Record<string, unknown> {
  return {
    runAsNonRoot: true,
    ...(settings.openshift ? {} : { runAsUser: USER, runAsGroup: USER, fsGroup: USER }),
    seccompProfile: { type: 'RuntimeDefault' },
  }
}

/** `securityContext` of a container. */
export function containerSecurity(settings: Settings): Record<string, unknown> {
  return {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    privileged: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    ...(settings.openshift ? {} : { runAsUser: USER, runAsGroup: USER }),
    seccompProfile: { type: 'RuntimeDefault' },
  }
}
