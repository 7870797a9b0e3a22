// An attempt to join, to get a session or to connect, as an audit event in the form that all others have.

import type { AuditEvent } from '../../protocol/audit.ts'
import type { Attempt } from './routes.ts'

/** `now` in milliseconds since the epoch. */
export function joinEvent(attempt: Attempt, now: number): AuditEvent {
  const { step, trace, refusal, status, milliseconds, request } = attempt
  const { cluster, replica, thumbprint, subject } = trace
  const detail = refusal === undefined ? trace.detail : refusal.detail
  return {
    msg: 'audit_event',
    level: 'AUDIT',
    audit_id: crypto.randomUUID(),
    type: 'link_request',
    logged_at: new Date(now).toISOString(),
    outcome: refusal === undefined ? 'success' : status < 500 ? 'denied' : 'error',
    component: 'edge',
    source: {
      type: 'network',
      value: request.cf?.colo === undefined ? '' : (request.headers.get('cf-connecting-ip') ?? ''),
      extra: { user_agent: (request.headers.get('user-agent') ?? '').slice(0, 128) },
    },
    subjects: subject === undefined ? {} : { user: subject.subject, user_id: `${subject.issuer} ${subject.subject}` },
    target: { endpoint: 'link', method: `link.${step}`, ...(cluster !== undefined && { name: cluster }) },
    metadata: {
      extra: {
        duration_ms: milliseconds,
        status,
        ...(replica !== undefined && { replica }),
        ...(thumbprint !== undefined && { key: thumbprint }),
        ...(refusal !== undefined && { reason: refusal.reason }),
        ...(detail !== undefined && { detail }),
      },
    },
  }
}
