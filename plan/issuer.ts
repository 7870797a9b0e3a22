// How the tokens of one issuer are verified, as an endpoint's plan says it.

import type { SecretRef } from './references.ts'

export interface IssuerPlan {
  readonly issuer: string
  readonly jwksUrl: string | undefined
  readonly introspectionUrl: string | undefined
  readonly clientId: string | undefined
  readonly clientSecret: SecretRef | undefined
  readonly algorithms: readonly string[]
  readonly clockSkewSeconds: number
  readonly groupsClaim: string
  readonly allowHttp: boolean
  readonly allowPrivate: boolean
  /** PEM certificates to trust besides the system's. */
  readonly ca: string | undefined
  /** Its keys are at the cluster's API server, which wants the pod's own token. */
  readonly clusterAuth: boolean
  /** Only these subjects, one that ends with a colon for all that begin so; undefined: all. */
  readonly subjects: readonly string[] | undefined
}
