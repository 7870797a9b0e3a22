// How servers answered when they were last asked, and the condition that says so.

import { condition } from './condition.ts'
import type { Condition } from './condition.ts'

/** How a server answered when its catalog was last refreshed. */
export interface Health {
  readonly state: 'ok' | 'failed' | 'unknown'
  /** `legacy` or `modern`. */
  readonly era?: string
  /** The MCP revision that it speaks. */
  readonly revision?: string
  /** How many tools it has. */
  readonly tools?: number
  /** It says when its lists change. */
  readonly tells?: boolean
  /** Public text: what went wrong. */
  readonly message?: string
  /** Milliseconds since the epoch. */
  readonly at?: number
  /** When to look again, milliseconds since the epoch. */
  readonly next?: number
}

/** `namespace/name` of a server → its health. */
export type HealthMap = ReadonlyMap<string, Health>

/** ToolHive's `RemoteAvailable`. */
export function remoteCondition(seen: Health | undefined): Condition {
  const type = 'RemoteAvailable'
  if (seen === undefined || seen.state === 'unknown')
    return condition(type, 'Unknown', 'NotObserved', 'the server has not been reached yet')
  if (seen.state === 'failed')
    return condition(type, 'False', 'RemoteUnavailable', seen.message ?? 'the server did not answer')
  const revision = seen.revision === undefined ? '' : ` with MCP ${seen.revision}`
  const tools = seen.tools === undefined ? '' : ` and has ${seen.tools} tools`
  return condition(type, 'True', 'RemoteAvailable', `the server answers${revision}${tools}`)
}
