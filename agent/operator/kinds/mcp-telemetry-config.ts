// MCPTelemetryConfig: where traces and metrics go. It protects nothing, so what this version does not send is said and harms
// nobody.

import type { MCPTelemetryConfig } from '../../../crds/mcp-telemetry-config.ts'
import { INTERNAL_PORT } from '../../../plan/address.ts'
import type { World } from '../kind.ts'
import { bundleProblem } from './bundle.ts'
import { configPlanner, invalid, valid, type Verdict } from './config.ts'

export function judgeTelemetry({ metadata, spec }: MCPTelemetryConfig, world: World): Verdict {
  const metrics = `metrics are served for Prometheus at port ${INTERNAL_PORT} of every proxy`
  const { openTelemetry } = spec
  if (openTelemetry === undefined || openTelemetry.enabled === false) return valid(metrics)
  const { endpoint, headers = {}, sensitiveHeaders = [], caBundleRef } = openTelemetry
  if (endpoint === undefined || endpoint === '')
    return invalid('spec.openTelemetry.endpoint is required when openTelemetry is enabled')
  const plain = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
  const twice = sensitiveHeaders.find(({ name }) => plain.has(name.toLowerCase()))
  if (twice !== undefined)
    return invalid(`spec.openTelemetry.sensitiveHeaders: ${twice.name} is in headers too; keep one`)
  const missing = bundleProblem('spec.openTelemetry.caBundleRef', caBundleRef, metadata.namespace, world)
  if (missing !== undefined) return invalid(missing)
  return valid(`OpenTelemetry is not sent to ${endpoint} by this version; ${metrics}`)
}

export const telemetryConfig = configPlanner<MCPTelemetryConfig>({
  kind: 'MCPTelemetryConfig',
  finalizer: 'mcptelemetryconfig.toolhive.stacklok.dev/finalizer',
  judge: judgeTelemetry,
})
