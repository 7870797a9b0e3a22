// A call of the admin API as an audit event, in the form that all others have.

import type { AuditEvent } from '../protocol/audit.ts'
import type { AdminEvent } from './admin/host.ts'

export function toAuditEvent(event: AdminEvent, now: number): AuditEvent {
  const { principal, request } = event
  return {
    msg: 'audit_event',
    level: 'AUDIT',
    audit_id: crypto.randomUUID(),
    type: 'admin_request',
    logged_at: new Date(now).toISOString(),
    outcome: event.outcome,
    component: 'edge',
    source: {
      type: 'network',
      value: request.cf?.colo === undefined ? '' : (request.headers.get('cf-connecting-ip') ?? ''),
      extra: { user_agent: (request.headers.get('user-agent') ?? '').slice(0, 128) },
    },
    subjects: principal === undefined ? {} : { user: principal.subject, user_id: principal.id },
    target: { endpoint: 'admin', method: event.action, name: event.target.slice(0, 256) },
    metadata: {
      extra: {
        duration_ms: event.milliseconds,
        status: event.status,
        ...(event.reason !== undefined && { reason: event.reason }),
        ...(event.detail !== undefined && { detail: event.detail }),
      },
    },
  }
}
