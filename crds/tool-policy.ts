// ToolPolicy: who may see and call which tools of one target. Tools that no rule names stay open to whoever may use the server.
// Unmet groups, claims, clusters or namespaces hide a tool; unmet scopes list it and challenge the call.
import * as z from 'zod'
import { Anything, filled, list, map } from './bound.ts'
import { Name, Namespace } from './name.ts'
import { Scope } from './reference.ts'
import { resource, waggle } from './resource.ts'
import { spelt } from './spelling.ts'

const Rule = z.strictObject({
  tools: list(filled(256), 256).min(1).describe('Names of tools, original or exposed; * stands for any characters.'),
  groups: list(filled(256), 256).min(1).optional().describe('Groups; the caller must be in one of them.'),
  claims: map(list(filled(1024), 256).min(1), 64)
    .optional()
    .describe('Claims with their allowed values; each claim must have, or contain, one of them.'),
  scopes: list(Scope, 64).min(1).optional().describe('Scopes that a call needs, all of them.'),
  clusters: list(Namespace, 256).min(1).optional().describe('Clusters whose servers may be called.'),
  namespaces: list(Namespace, 256).min(1).optional().describe('Namespaces whose servers may be called.'),
  trustHints: z.boolean().optional().describe("Believe the server's hints about these tools."),
  pinning: z.enum(['warn', 'quarantine']).optional().describe('What happens when the schema of a tool changes.'),
})

/** Values of claims may also be written as one text, number or boolean instead of a list. */
const Written = spelt(Rule, {
  claims: map(Anything, 64).optional().describe('Claims with their allowed values, one or a list of them.'),
})

export const ToolPolicy = resource(
  waggle,
  'ToolPolicy',
  z.strictObject({
    targetRef: z
      .strictObject({
        kind: z
          .enum(['VirtualMCPServer', 'MCPServer', 'MCPRemoteProxy', 'MCPServerEntry'])
          .describe('Kind of the target.'),
        name: Name.describe('Name of the target.'),
      })
      .describe('What the policy is about, in the same namespace.'),
    rules: list(Written, 256).describe('Who may see and call which tools; all must be met that name a tool.'),
  }),
)
export type ToolPolicy = z.infer<typeof ToolPolicy>
