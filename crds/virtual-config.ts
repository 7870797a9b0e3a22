// spec.config of a virtual server. Several parts are what an operator writes into a configuration file (`incomingAuth`, `outgoingAuth`,
// `name`, …); they are accepted and kept, but settings stand in the spec.
import * as z from 'zod'
import { Aggregation } from './aggregation.ts'
import { filled, inCluster, list, map, text, whole } from './bound.ts'
import { CompositeTool } from './composite-tool.ts'
import { Duration } from './duration.ts'
import { PassthroughHeaders } from './header.ts'
import { Operational } from './operational.ts'
import { RateLimiting } from './rate-limit.ts'
import { NameRef } from './reference.ts'
import { spelt } from './spelling.ts'
import { HttpUrl } from './url.ts'
import { IncomingAuth, OutgoingAuth } from './virtual-auth.ts'

/** A server written into the configuration instead of a resource of its own. */
const StaticBackend = z.strictObject({
  name: filled(253).describe('Name of the server.'),
  url: HttpUrl.describe('URL of the server.'),
  transport: z.enum(['sse', 'streamable-http']).describe('What it speaks.'),
  type: z.enum(['entry', '']).optional().describe('Whether it is called as an MCPServerEntry.'),
  caBundlePath: text(1024).optional().describe('File with certificates to trust.'),
  metadata: map(text(2048)).optional().describe('Whatever belongs to it.'),
})

const events = list(filled(128), 64).optional()

const Audit = z.strictObject({
  enabled: inCluster(z.boolean(), false).describe('Log every request.'),
  component: text(253).optional().describe('Name in the log.'),
  eventTypes: events.describe('Events to log; all when left out.'),
  excludeEventTypes: events.describe('Events not to log.'),
  includeRequestData: inCluster(z.boolean(), false).describe('Log what is asked.'),
  includeResponseData: inCluster(z.boolean(), false).describe('Log what is answered.'),
  detectApplicationErrors: inCluster(z.boolean(), true).describe('Tell errors of tools from success.'),
  maxDataSize: inCluster(whole(0), 1024).describe('Bytes of data in one event.'),
  maxDelegationDepth: inCluster(whole(1, 100), 10).describe('How much of a chain of delegation is logged.'),
  logFile: text(1024).optional().describe('File to log to; standard output when left out.'),
})

const CodeMode = z.strictObject({
  enabled: z.boolean().optional().describe('Offer a tool that runs scripts over tools.'),
  stepLimit: inCluster(z.int().min(1).max(Number.MAX_SAFE_INTEGER), 100_000).describe('Steps of one script.'),
  parallelMaxConcurrency: inCluster(whole(1), 10).describe('Calls of a script at once.'),
  toolCallTimeout: inCluster(Duration, '30s').describe('How long one call may take.'),
})

const Ratio = text(32)
  .regex(/^([0-9]*[.])?[0-9]+$/, { error: 'must be a number in quotes, such as "0.5"' })
  .optional()

const Optimizer = z.strictObject({
  embeddingProvider: inCluster(z.enum(['tei', 'openai']), 'tei').describe('What makes vectors of descriptions.'),
  embeddingService: text(2048).optional().describe('URL of it.'),
  embeddingModel: text(512).optional().describe('Its model.'),
  embeddingHeaders: map(text(4096), 32).optional().describe('Headers for it.'),
  embeddingServiceTimeout: inCluster(Duration, '30s').describe('How long it may take.'),
  maxToolsToReturn: whole(1, 50).optional().describe('How many tools a search gives.'),
  hybridSearchSemanticRatio: Ratio.describe('Weight of meaning against words, from 0 to 1.'),
  semanticDistanceThreshold: Ratio.describe('Tools further away are left out.'),
})

const Telemetry = z.strictObject({
  endpoint: text(2048).optional().describe('Address of the collector.'),
  headers: map(text(4096), 64).optional().describe('Headers for it.'),
  insecure: inCluster(z.boolean(), false).describe('Use plain http.'),
  caCertPath: text(1024).optional().describe('File with certificates to trust.'),
  serviceName: text(253).optional().describe('service.name of the telemetry.'),
  serviceVersion: text(253).optional().describe('service.version of the telemetry.'),
  tracingEnabled: inCluster(z.boolean(), false).describe('Send traces.'),
  metricsEnabled: inCluster(z.boolean(), false).describe('Send metrics.'),
  samplingRate: inCluster(text(32), '0.05').describe('Part of the requests that are traced.'),
  customAttributes: map(text(2048), 64).optional().describe('Attributes of all telemetry.'),
  environmentVariables: list(filled(253), 64).optional().describe('Environment variables to add as attributes.'),
  enablePrometheusMetricsPath: inCluster(z.boolean(), false).describe('Serve metrics for Prometheus.'),
  prometheusPort: whole(0, 65_535).optional().describe('Port for that.'),
  metricsOnTransportPort: z.boolean().optional().describe('Serve them at the port of the endpoint.'),
  useLegacyAttributes: inCluster(z.boolean(), true).describe('Write older attribute names as well.'),
})

const SessionStorage = z.strictObject({
  provider: z.enum(['memory', 'redis']).describe('Where sessions are kept.'),
  address: text(512).optional().describe('Host and port of Redis.'),
  db: inCluster(whole(0, 65_535), 0).describe('Number of the Redis database.'),
  keyPrefix: text(256).optional().describe('Put before every key.'),
})

const resolved = (field: string) => `Written by operators; set spec.${field} instead.`

export const VirtualConfig = spelt(
  z.strictObject({
    aggregation: Aggregation.prefault({}).describe('How tools of several servers share one catalog.'),
    operational: Operational.optional().describe('Deadlines, health checks and circuit breaker.'),
    rateLimiting: RateLimiting.optional().describe('How many tool calls are let through.'),
    compositeTools: list(CompositeTool, 256).optional().describe('Tools made of several steps.'),
    compositeToolRefs: list(NameRef, 256).optional().describe('VirtualMCPCompositeToolDefinitions to offer.'),
    audit: Audit.optional().describe('The audit log.'),
    codeMode: CodeMode.optional().describe('A tool that runs scripts over tools.'),
    optimizer: Optimizer.optional().describe('Offer a search for tools instead of all tools.'),
    backends: list(StaticBackend, 1024).optional().describe('Servers that have no resource of their own.'),
    metadata: map(text(2048)).optional().describe('Whatever belongs to it.'),
    name: text(253).optional().describe('Written by operators: the name of the resource.'),
    incomingAuth: IncomingAuth.optional().describe(resolved('incomingAuth')),
    outgoingAuth: OutgoingAuth.optional().describe(resolved('outgoingAuth')),
    passthroughHeaders: PassthroughHeaders.optional().describe(resolved('passthroughHeaders')),
    sessionStorage: SessionStorage.optional().describe(resolved('sessionStorage')),
    telemetry: Telemetry.optional().describe(resolved('telemetryConfigRef')),
  }),
  {
    groupRef: text(253).optional().meta({ deprecated: true, description: 'Old place of spec.groupRef.name.' }),
  },
)
