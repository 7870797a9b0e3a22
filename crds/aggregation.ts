// spec.config.aggregation of a virtual server: how tools of several servers share one catalog.
import * as z from 'zod'
import { filled, list, text } from './bound.ts'
import { NameRef } from './reference.ts'
import { isFields, rule } from './rule.ts'
import { ToolFilter, ToolOverrides } from './tool.ts'

const Workload = z.strictObject({
  workload: filled(253),
  filter: ToolFilter.optional(),
  overrides: ToolOverrides.optional(),
  excludeAll: z.boolean().optional(),
  toolConfigRef: NameRef.optional(),
})

export const Aggregation = rule(
  z.strictObject({
    conflictResolution: z.enum(['prefix', 'priority', 'manual']).default('prefix'),
    conflictResolutionConfig: z
      .strictObject({
        /** Put before every tool name; `{workload}` stands for the server's name. May be empty. */
        prefixFormat: text(128).default('{workload}_'),
        priorityOrder: list(filled(253), 1024).optional(),
      })
      .prefault({}),
    tools: list(Workload, 1024).optional(),
    excludeAllTools: z.boolean().optional(),
    defaultToolVisibility: z.enum(['allow', 'deny']).optional(),
  }),
  (fields, refuse) => {
    const config = fields.conflictResolutionConfig
    const order = isFields(config) ? config.priorityOrder : undefined
    if (fields.conflictResolution === 'priority' && !(Array.isArray(order) && order.length > 0)) {
      refuse(
        ['conflictResolutionConfig', 'priorityOrder'],
        'is required when conflictResolution is priority: server names, the most important first',
      )
    }
  },
  {
    rule: "!has(self.conflictResolution) || self.conflictResolution != 'priority' || (has(self.conflictResolutionConfig) && has(self.conflictResolutionConfig.priorityOrder) && size(self.conflictResolutionConfig.priorityOrder) > 0)",
    message:
      'conflictResolutionConfig.priorityOrder is required when conflictResolution is priority: server names, the most important first',
  },
)
