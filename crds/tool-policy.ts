// ToolPolicy: who may see and call which tools of one target. Tools that no rule names stay open to whoever may use the server.
// Unmet groups, claims, clusters or namespaces hide a tool; unmet scopes list it and challenge the call.
import * as z from 'zod'
import { filled, list, map } from './bound.ts'
import { Name, Namespace } from './name.ts'
import { resource, waggle } from './resource.ts'

const Rule = z.strictObject({
  /** Globs over original or exposed names: `*` stands for any characters. */
  tools: list(filled(256), 256).min(1),
  /** The caller is in at least one of these groups. */
  groups: list(filled(256), 256).min(1).optional(),
  /** Each claim has, or contains, one of its allowed values; numbers and booleans are compared as text. */
  claims: map(list(filled(1024), 256).min(1), 64).optional(),
  /** All of these scopes. */
  scopes: list(
    filled(256).regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, {
      error: 'must be an OAuth scope: no spaces, quotes or backslashes',
    }),
    64,
  )
    .min(1)
    .optional(),
  /** Instances that may be called, where a server runs in several clusters. */
  clusters: list(Namespace, 256).min(1).optional(),
  namespaces: list(Namespace, 256).min(1).optional(),
  /** Believe the server's readOnlyHint, idempotentHint and so on for these tools. */
  trustHints: z.boolean().optional(),
  /** What to do when the schema of a tool changes. */
  pinning: z.enum(['warn', 'quarantine']).optional(),
})

export const ToolPolicy = resource(
  waggle,
  'ToolPolicy',
  z.strictObject({
    targetRef: z.strictObject({
      kind: z.enum(['VirtualMCPServer', 'MCPServer', 'MCPRemoteProxy', 'MCPServerEntry']),
      name: Name,
    }),
    rules: list(Rule, 256),
  }),
)
export type ToolPolicy = z.infer<typeof ToolPolicy>
