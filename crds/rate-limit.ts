// spec.config.rateLimiting of a virtual server: token buckets for tool calls.
import * as z from 'zod'
import { filled, list } from './bound.ts'
import { Duration } from './duration.ts'
import { textOf, unique } from './rule.ts'

const Bucket = z.strictObject({ maxTokens: z.int().min(1).max(2_147_483_647), refillPeriod: Duration })

export const RateLimiting = z.strictObject({
  shared: Bucket.optional(),
  perUser: Bucket.optional(),
  tools: unique(
    list(z.strictObject({ name: filled(128), shared: Bucket.optional(), perUser: Bucket.optional() }), 256),
    'name',
    (item) => textOf(item.name),
  ).optional(),
})
