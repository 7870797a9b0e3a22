// Fields that shape pods and services in a cluster. The edge runs no pods: it accepts them so that one manifest fits both.
import * as z from 'zod'
import { filled, list, map, text } from './bound.ts'
import { SecretKeyRef } from './reference.ts'
import { rule } from './rule.ts'

export const ImagePullSecrets = list(z.strictObject({ name: text(253).default('') }), 64)

const Quantities = z.strictObject({ cpu: text(64).optional(), memory: text(64).optional() })

export const Resources = z.strictObject({ limits: Quantities.optional(), requests: Quantities.optional() })

const Marks = { annotations: map(text(32_768)).optional(), labels: map(text(63)).optional() }

export const ResourceOverrides = z.strictObject({
  proxyDeployment: z
    .strictObject({
      ...Marks,
      env: list(z.strictObject({ name: filled(253), value: text(32_768) })).optional(),
      imagePullSecrets: ImagePullSecrets.optional(),
      podTemplateMetadataOverrides: z.strictObject(Marks).optional(),
    })
    .optional(),
  proxyService: z.strictObject(Marks).optional(),
})

export const Replicas = z.int().min(0).max(1000)

export const SessionAffinity = z.enum(['ClientIP', 'None'])

export const SessionStorage = rule(
  z.strictObject({
    provider: z.enum(['memory', 'redis']),
    address: filled(512).optional(),
    db: z.int().min(0).max(65_535).default(0),
    keyPrefix: text(256).optional(),
    passwordRef: SecretKeyRef.optional(),
  }),
  (fields, refuse) => {
    if (fields.provider === 'redis' && fields.address === undefined) {
      refuse(['address'], 'is required when provider is redis: host:port')
    }
  },
)
