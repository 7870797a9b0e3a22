// MCPGroup: a name that servers join by their groupRef and virtual servers aggregate.
import * as z from 'zod'
import { text } from './bound.ts'
import { resource, toolhive } from './resource.ts'

export const MCPGroup = resource(
  toolhive,
  'MCPGroup',
  z.strictObject({ description: text(4096).optional().describe('What the group is for.') }).prefault({}),
)
export type MCPGroup = z.infer<typeof MCPGroup>
