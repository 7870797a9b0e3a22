// MCPWebhookConfig: webhooks that see, and may change or refuse, every request of a server.
import * as z from 'zod'
import { filled, list } from './bound.ts'
import { Duration, milliseconds } from './duration.ts'
import { SecretKeyRef } from './reference.ts'
import { resource, toolhiveAlpha } from './resource.ts'
import { semantically, rule } from './rule.ts'
import { HttpUrl } from './url.ts'

const Tls = rule(
  z.strictObject({
    caSecretRef: SecretKeyRef.optional().describe('Certificates to trust.'),
    clientCertSecretRef: SecretKeyRef.optional().describe('Certificate to present.'),
    clientKeySecretRef: SecretKeyRef.optional().describe('Key of that certificate.'),
    insecureSkipVerify: z
      .boolean()
      .optional()
      .describe("Do not check the webhook's certificate; for development only."),
  }),
  (fields, refuse) => {
    if ((fields.clientCertSecretRef === undefined) !== (fields.clientKeySecretRef === undefined)) {
      refuse(['clientKeySecretRef'], 'goes only with clientCertSecretRef; give both or none')
    }
  },
  {
    rule: 'has(self.clientCertSecretRef) == has(self.clientKeySecretRef)',
    message: 'clientCertSecretRef and clientKeySecretRef go together; give both or none',
  },
)

const Webhook = z.strictObject({
  name: filled(63).describe('Name of the webhook in logs.'),
  url: HttpUrl.describe('Where it is called.'),
  timeout: Duration.refine((value) => {
    const ms = milliseconds(value)
    return ms !== undefined && ms >= 1000 && ms <= 30_000
  }, semantically('must be from 1s to 30s'))
    .optional()
    .describe('How long to wait for it, from 1s to 30s; 10s when left out.'),
  failurePolicy: z
    .enum(['fail', 'ignore'])
    .optional()
    .meta({ default: 'fail' })
    .describe('What happens to a request when the webhook does not answer.'),
  tlsConfig: Tls.optional().describe('TLS towards the webhook.'),
  hmacSecretRef: SecretKeyRef.optional().describe('Where the key is kept that calls are signed with.'),
})

export const MCPWebhookConfig = resource(
  toolhiveAlpha,
  'MCPWebhookConfig',
  z
    .strictObject({
      mutating: list(Webhook, 32).optional().describe('Webhooks that may change requests, called first and in order.'),
      validating: list(Webhook, 32).optional().describe('Webhooks that may refuse requests, called in order.'),
    })
    .prefault({}),
)
export type MCPWebhookConfig = z.infer<typeof MCPWebhookConfig>
