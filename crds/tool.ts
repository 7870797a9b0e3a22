// How an admin renames, describes or hides the tools of a server; shared by MCPToolConfig and the aggregation of virtual servers.
import * as z from 'zod'
import { filled, list, map, text } from './bound.ts'

export const ToolAnnotations = z.strictObject({
  title: text(1024).optional().describe('Name for people.'),
  readOnlyHint: z.boolean().optional().describe('The tool changes nothing.'),
  destructiveHint: z.boolean().optional().describe('The tool may destroy something.'),
  idempotentHint: z.boolean().optional().describe('A second call changes nothing more.'),
  openWorldHint: z.boolean().optional().describe('The tool reaches beyond its server.'),
})

/** Replacements for one tool, keyed by its original name. Tool names are not held to a pattern: servers choose them. */
export const ToolOverrides = map(
  z.strictObject({
    name: filled(256).optional().describe('New name.'),
    description: text(16_384).optional().describe('New description.'),
    annotations: ToolAnnotations.optional().describe('New annotations.'),
  }),
  1024,
)

/** Tools to keep, by the name after overrides. */
export const ToolFilter = list(filled(256), 1024)
