// Token buckets for tool calls: spec.rateLimiting of a server, spec.config.rateLimiting of a virtual server.
import * as z from 'zod'
import { filled, list, whole } from './bound.ts'
import { Duration } from './duration.ts'
import { keyed } from './rule.ts'

const Bucket = z.strictObject({
  maxTokens: whole(1).describe('Calls that may come at once, and per refillPeriod in the long run.'),
  refillPeriod: Duration.describe('Time in which an empty bucket fills up, such as 1m.'),
})

const Shared = Bucket.optional().describe('One bucket for all callers.')
const PerUser = Bucket.optional().describe('One bucket for each caller.')

export const RateLimiting = z.strictObject({
  shared: Shared,
  perUser: PerUser,
  tools: keyed(
    list(z.strictObject({ name: filled(128).describe('Name of the tool.'), shared: Shared, perUser: PerUser }), 256),
    'name',
  )
    .optional()
    .describe('Further buckets for single tools.'),
})

/** Whether somebody limits callers one by one, which needs to know who they are. */
export function limitsUsers(limits: z.infer<typeof RateLimiting>): boolean {
  return limits.perUser !== undefined || (limits.tools ?? []).some(({ perUser }) => perUser !== undefined)
}
