// spec.config.aggregation of a virtual server: how tools of several servers share one catalog.
import * as z from 'zod'
import { filled, list, text } from './bound.ts'
import { NameRef } from './reference.ts'
import { isFields, rule } from './rule.ts'
import { ToolFilter, ToolOverrides } from './tool.ts'

const Workload = z.strictObject({
  workload: filled(253).describe('Name of the server.'),
  filter: ToolFilter.optional().describe('Its tools to show, by their new names; all when left out.'),
  overrides: ToolOverrides.optional().describe('New names and descriptions, by the original name of the tool.'),
  excludeAll: z.boolean().optional().describe('Show none of its tools.'),
  toolConfigRef: NameRef.optional().describe('An MCPToolConfig that hides, renames or describes its tools.'),
})

const order = 'is required when conflictResolution is priority: server names, the most important first'

export const Aggregation = rule(
  z.strictObject({
    conflictResolution: z
      .enum(['prefix', 'priority', 'manual'])
      .default('prefix')
      .describe(
        'What happens to tools of the same name: a prefix for all, the most important server wins, or an error.',
      ),
    conflictResolutionConfig: z
      .strictObject({
        /** May be empty. */
        prefixFormat: text(128)
          .default('{workload}_')
          .describe("Put before every tool name; {workload} stands for the server's name."),
        priorityOrder: list(filled(253), 1024).optional().describe('Names of servers, the most important first.'),
      })
      .prefault({})
      .describe('Settings of conflictResolution.'),
    tools: list(Workload, 1024).optional().describe('Settings for single servers.'),
    excludeAllTools: z.boolean().optional().describe('Show no tools at all, only composite ones.'),
    defaultToolVisibility: z
      .enum(['allow', 'deny'])
      .optional()
      .describe('Whether tools of servers that tools does not name are shown.'),
  }),
  (fields, refuse) => {
    const config = fields.conflictResolutionConfig
    const given = isFields(config) ? config.priorityOrder : undefined
    if (fields.conflictResolution === 'priority' && !(Array.isArray(given) && given.length > 0)) {
      refuse(['conflictResolutionConfig', 'priorityOrder'], order)
    }
  },
  {
    rule: "!has(self.conflictResolution) || self.conflictResolution != 'priority' || (has(self.conflictResolutionConfig) && has(self.conflictResolutionConfig.priorityOrder) && size(self.conflictResolutionConfig.priorityOrder) > 0)",
    message: `conflictResolutionConfig.priorityOrder ${order}`,
  },
)
