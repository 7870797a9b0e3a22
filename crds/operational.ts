// spec.config.operational of a virtual server: deadlines, health and breaker.
import * as z from 'zod'
import { inCluster, map } from './bound.ts'
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
      healthCheckInterval: inCluster(Duration, '30s'),
      healthCheckTimeout: inCluster(Duration, '10s'),
      statusReportingInterval: inCluster(Duration, '30s'),
      unhealthyThreshold: inCluster(z.int().min(1).max(1000), 3),
      partialFailureMode: inCluster(z.enum(['fail', 'best_effort']), 'fail'),
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
