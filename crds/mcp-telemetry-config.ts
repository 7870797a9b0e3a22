// MCPTelemetryConfig: where traces and metrics go.
import * as z from 'zod'
import { filled, inCluster, list, map, text } from './bound.ts'
import { CABundleRef, SecretKeyRef } from './reference.ts'
import { resource, toolhive } from './resource.ts'
import { keyed } from './rule.ts'

const Switch = (what: string) =>
  z
    .strictObject({ enabled: inCluster(z.boolean(), false).describe(what) })
    .optional()
    .describe(what)

const OpenTelemetry = z.strictObject({
  enabled: inCluster(z.boolean(), false).describe('Send telemetry.'),
  endpoint: text(2048).optional().describe('Address of the collector, OTLP over HTTP.'),
  insecure: inCluster(z.boolean(), false).describe('Use plain http.'),
  caBundleRef: CABundleRef.optional().describe('Certificates to trust when talking to the collector.'),
  headers: map(text(4096), 64).optional().describe('Headers for the collector; not for credentials.'),
  sensitiveHeaders: keyed(
    list(
      z.strictObject({
        name: filled(255).describe('Name of the header.'),
        secretKeyRef: SecretKeyRef.describe('Where its value is kept.'),
      }),
      64,
    ),
    'name',
  )
    .optional()
    .describe('Headers whose values are kept in Secrets.'),
  resourceAttributes: map(text(2048), 64).optional().describe('Attributes of all telemetry.'),
  tracing: z
    .strictObject({
      enabled: inCluster(z.boolean(), false).describe('Send traces.'),
      samplingRate: inCluster(
        text(32).regex(/^(0(\.[0-9]+)?|1(\.0+)?)$/, {
          error: 'must be a number from 0 to 1 in quotes, such as "0.05"',
        }),
        '0.05',
      ).describe('Part of the requests that are traced.'),
    })
    .optional()
    .describe('Traces.'),
  metrics: Switch('Send metrics.'),
  useLegacyAttributes: inCluster(z.boolean(), true).describe('Write older attribute names as well.'),
})

export const TelemetrySpec = z.strictObject({
  openTelemetry: OpenTelemetry.optional().describe('Traces and metrics for a collector.'),
  prometheus: Switch('Serve metrics for Prometheus.'),
})

export const MCPTelemetryConfig = resource(toolhive, 'MCPTelemetryConfig', TelemetrySpec.prefault({}))
export type MCPTelemetryConfig = z.infer<typeof MCPTelemetryConfig>
