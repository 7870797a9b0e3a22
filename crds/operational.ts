// spec.config.operational of a virtual server: deadlines, health and breaker.
import * as z from 'zod'
import { inCluster, map, whole } from './bound.ts'
import { Duration } from './duration.ts'

export const Operational = z.strictObject({
  logLevel: z.enum(['debug']).optional().describe('Log more.'),
  timeouts: z
    .strictObject({
      default: Duration.default('30s').describe('How long a call may take.'),
      perWorkload: map(Duration, 1024).optional().describe('How long a call may take, by the name of the server.'),
    })
    .optional()
    .describe('Deadlines.'),
  failureHandling: z
    .strictObject({
      healthCheckInterval: inCluster(Duration, '30s').describe('How often servers are looked at.'),
      healthCheckTimeout: inCluster(Duration, '10s').describe('How long a look may take.'),
      statusReportingInterval: inCluster(Duration, '30s').describe('How often the status is written.'),
      unhealthyThreshold: inCluster(whole(1, 1000), 3).describe('Failures after which a server counts as unhealthy.'),
      partialFailureMode: inCluster(z.enum(['fail', 'best_effort']), 'fail').describe(
        'Whether a list fails when one of the servers does.',
      ),
      circuitBreaker: z
        .strictObject({
          enabled: z.boolean().default(false).describe('Stop calling a server that keeps failing.'),
          failureThreshold: whole(1, 1000).default(5).describe('Failures after which it is not called.'),
          timeout: Duration.default('60s').describe('Time after which it is tried again.'),
        })
        .optional()
        .describe('The circuit breaker.'),
    })
    .optional()
    .describe('What happens when servers fail.'),
})
