// How an admin renames, describes or hides the tools of a server; shared by MCPToolConfig and the aggregation of virtual servers.
import * as z from 'zod'
import { filled, list, map, text } from './bound.ts'

export const ToolAnnotations = z.strictObject({
  title: text(1024).optional(),
  readOnlyHint: z.boolean().optional(),
  destructiveHint: z.boolean().optional(),
  idempotentHint: z.boolean().optional(),
  openWorldHint: z.boolean().optional(),
})

/** Replacements for one tool, keyed by its original name. Tool names are not held to a pattern: servers choose them. */
export const ToolOverrides = map(
  z.strictObject({
    name: filled(256).optional(),
    description: text(16_384).optional(),
    annotations: ToolAnnotations.optional(),
  }),
  1024,
)

/** Tools to keep, by the name after overrides. */
export const ToolFilter = list(filled(256), 1024)
