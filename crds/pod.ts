// Fields that shape pods and services in a cluster. The edge runs no pods: it accepts them so that one manifest fits both.
import * as z from 'zod'
import { filled, list, map, text, whole } from './bound.ts'
import { SecretKeyRef } from './reference.ts'
import { keyed, rule, semantically } from './rule.ts'

export const ImagePullSecrets = list(
  z.strictObject({ name: text(253).default('').describe('Name of a Secret of type kubernetes.io/dockerconfigjson.') }),
  64,
)

const quantity = /^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(m|u|n|k|Ki|[MGTPE]i?|[eE][+-]?[0-9]{1,3})?$/

/** An amount as Kubernetes writes it: 250m, 0.5, 128Mi. */
export const Quantity = text(64).refine(
  (value) => quantity.test(value),
  semantically('must be a quantity such as 250m (CPU) or 128Mi (memory)'),
)

const Quantities = z.strictObject({
  cpu: Quantity.optional().describe('CPU, such as 250m.'),
  memory: Quantity.optional().describe('Memory, such as 128Mi.'),
})

export const Resources = z.strictObject({
  limits: Quantities.optional().describe('The most that the container may use.'),
  requests: Quantities.optional().describe('What is kept free for the container.'),
})

const annotations = map(text(32_768)).optional().describe('Annotations to add.')
const labels = map(text(63)).optional().describe('Labels to add.')

/** Labels and annotations that are added to an object. */
export const Marks = z.strictObject({ annotations, labels })

/** Environment variables with plain values. */
export const Env = keyed(
  list(
    z.strictObject({
      name: filled(253).describe('Name of the variable.'),
      value: text(32_768).describe('Its value; for secret values use a Secret.'),
    }),
  ),
  'name',
)

export const ResourceOverrides = z.strictObject({
  proxyDeployment: z
    .strictObject({
      annotations,
      labels,
      env: Env.optional().describe('Environment variables of the proxy container.'),
      imagePullSecrets: ImagePullSecrets.optional().describe('Secrets for pulling the images.'),
      podTemplateMetadataOverrides: Marks.optional().describe('Labels and annotations of the pods.'),
    })
    .optional()
    .describe("Changes to the proxy's Deployment."),
  proxyService: Marks.optional().describe("Labels and annotations of the proxy's Service."),
})

export const Replicas = whole(0, 1000)

export const SessionAffinity = z.enum(['ClientIP', 'None'])

export const SessionStorage = rule(
  z.strictObject({
    provider: z.enum(['memory', 'redis']).describe('Where sessions are kept.'),
    address: filled(512).optional().describe('Host and port of Redis.'),
    db: whole(0, 65_535).default(0).describe('Number of the Redis database.'),
    keyPrefix: text(256).optional().describe('Put before every key; a colon is added when it does not end with one.'),
    passwordRef: SecretKeyRef.optional().describe('Where the password of Redis is kept.'),
  }),
  (fields, refuse) => {
    if (fields.provider === 'redis' && fields.address === undefined) {
      refuse(['address'], 'is required when provider is redis: host:port')
    }
  },
  {
    rule: "self.provider != 'redis' || has(self.address)",
    message: 'address is required when provider is redis: host:port',
  },
)
