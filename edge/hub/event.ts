// What happens to a cluster's registration, as audit events in the form that all others have.

import type { AuditEvent, Outcome } from '../../protocol/audit.ts'

export interface HubEvent {
  readonly cluster: string
  readonly action:
    | 'connected'
    | 'refused'
    | 'disconnected'
    | 'leading'
    | 'registered'
    | 'revoked'
    | 'offline'
    | 'delisted'
    | 'evicted'
  readonly outcome: Outcome
  readonly extra: Readonly<Record<string, string | number>>
}

/** `now` in milliseconds since the epoch. */
export function hubEvent({ cluster, action, outcome, extra }: HubEvent, now: number): AuditEvent {
  return {
    msg: 'audit_event',
    level: 'AUDIT',
    audit_id: crypto.randomUUID(),
    type: 'link_event',
    logged_at: new Date(now).toISOString(),
    outcome,
    component: 'edge',
    source: { type: 'network', value: '', extra: {} },
    subjects: {},
    target: { endpoint: 'link', method: `link.${action}`, name: cluster },
    metadata: { extra },
  }
}
