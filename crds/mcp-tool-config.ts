// MCPToolConfig: which tools of a server are shown, and under which names and descriptions.
import * as z from 'zod'
import { resource, toolhive } from './resource.ts'
import { ToolFilter, ToolOverrides } from './tool.ts'

export const MCPToolConfig = resource(
  toolhive,
  'MCPToolConfig',
  z.strictObject({ toolsFilter: ToolFilter.optional(), toolsOverride: ToolOverrides.optional() }).prefault({}),
)
export type MCPToolConfig = z.infer<typeof MCPToolConfig>
