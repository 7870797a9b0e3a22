// The audit event: one per request at each hop, joined by `audit_id`. Field names are ToolHive's, so that existing
// pipelines keep working. Arguments, results and tokens are never part of it.

export type Outcome = 'success' | 'failure' | 'error' | 'denied' | 'application_error'

export interface AuditEvent {
  readonly msg: 'audit_event'
  readonly level: 'AUDIT'
  readonly audit_id: string
  readonly type: string
  readonly logged_at: string
  readonly outcome: Outcome
  readonly component: string
  readonly source: {
    readonly type: 'network'
    readonly value: string
    readonly extra: Readonly<Record<string, string>>
  }
  readonly subjects: Readonly<Record<string, string>>
  readonly target: Readonly<Record<string, string>>
  readonly metadata: { readonly extra: Readonly<Record<string, string | number>> }
}

/** The event type for an MCP method (toolhive's names). */
export function auditType(method: string): string {
  switch (method) {
    case 'initialize':
    case 'server/discover':
      return 'mcp_initialize'
    case 'tools/call':
      return 'mcp_tool_call'
    case 'tools/list':
      return 'mcp_tools_list'
    case 'resources/read':
      return 'mcp_resource_read'
    case 'resources/list':
    case 'resources/templates/list':
      return 'mcp_resources_list'
    case 'prompts/get':
      return 'mcp_prompt_get'
    case 'prompts/list':
      return 'mcp_prompts_list'
    case 'ping':
      return 'mcp_ping'
    case 'logging/setLevel':
      return 'mcp_logging'
    case 'completion/complete':
      return 'mcp_completion'
    case 'notifications/roots/list_changed':
      return 'mcp_roots_list_changed'
    case '':
      return 'http_request'
    default:
      return method.startsWith('notifications/') ? 'mcp_notification' : 'mcp_request'
  }
}
