// MCPToolConfig: which tools of a server are shown, and under which names and descriptions.
import * as z from 'zod'
import { resource, toolhive } from './resource.ts'
import { ToolFilter, ToolOverrides } from './tool.ts'

export const MCPToolConfig = resource(
  toolhive,
  'MCPToolConfig',
  z
    .strictObject({
      toolsFilter: ToolFilter.optional().describe('The tools to show, by their new names; all when left out.'),
      toolsOverride: ToolOverrides.optional().describe('New names and descriptions, by the original name of the tool.'),
    })
    .prefault({}),
)
export type MCPToolConfig = z.infer<typeof MCPToolConfig>
