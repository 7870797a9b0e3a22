// spec.config.operational of a virtual server: deadlines, health and breaker.
import * as z from 'zod'
import { map } from './bound.ts'
import { Duration } from './duration.ts'

export const Operational = z.strictObject({
  logLevel: z.enum(['debug']).optional(),
  timeouts: z
    .strictObject({
      default: Duration.default('30s'),
      perWorkload: map(Duration, 1024).optional(),
    })
    .optional(),
  failureHandling: z
    .strictObject({
      healthCheckInterval: Duration.default('30s'),
      healthCheckTimeout: Duration.default('10s'),
      statusReportingInterval: Duration.default('30s'),
      unhealthyThreshold: z.int().min(1).max(1000).default(3),
      partialFailureMode: z.enum(['fail', 'best_effort']).default('fail'),
      circuitBreaker: z
        .strictObject({
          enabled: z.boolean().default(false),
          failureThreshold: z.int().min(1).max(1000).default(5),
          timeout: Duration.default('60s'),
        })
        .optional(),
    })
    .optional(),
})
