// An audit event of the edge as one readable line: when, who, what, where it went, how it ended, how long it took.

import type { AuditEvent } from '../protocol/audit.ts'

/** The event in a line of the edge's output, or undefined when the line is something else. */
export function eventOf(line: string): AuditEvent | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const parsed: unknown = JSON.parse(line)
    const isEvent = typeof parsed === 'object' && parsed !== null && 'msg' in parsed && parsed.msg === 'audit_event'
    return isEvent ? (parsed as AuditEvent) : undefined
  } catch {
    return undefined
  }
}

const marks: Readonly<Record<AuditEvent['outcome'], string>> = {
  success: '✓',
  application_error: '!',
  denied: '✗ denied',
  failure: '✗ failed',
  error: '✗ error',
}

/** For instance `14:02:11  ben   tools/call  board_list_incidents → demo/board  ✓  12 ms`. */
export function narrate(event: AuditEvent): string {
  const { subjects, target } = event
  const extra = event.metadata.extra
  const server = extra['backend_name']
  const what = [target['name'] ?? target['endpoint'] ?? '', server === undefined ? '' : `→ ${server}`].join(' ')
  const why = event.outcome === 'success' ? undefined : (extra['jsonrpc_error_message'] ?? extra['reason'])
  const took = extra['duration_ms']
  return [
    event.logged_at.slice(11, 19),
    clean(subjects['user'] ?? 'nobody').padEnd(8),
    // Without a token the edge does not read what was asked.
    clean(target['method'] || event.type).padEnd(16),
    clean(what.trim()).padEnd(44),
    marks[event.outcome],
    ...(why === undefined ? [] : [clean(String(why).replaceAll('_', ' '))]),
    ...(took === undefined ? [] : [`${Math.round(Number(took))} ms`]),
  ].join('  ')
}

/** Text that came from a client must not steer the terminal. */
function clean(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is taken out here
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ').slice(0, 120)
}
