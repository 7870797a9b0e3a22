// Tokens of a cluster's ServiceAccounts, as its API server signs them for one audience and one pod. The issuer's keys are those
// that the admin uploaded, else those that the issuer publishes.

import {
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  jwtVerify,
  type JWSHeaderParameters,
  type JWTPayload,
} from 'jose'
import { DEFAULT_ALGORITHMS, type IssuerHost, IssuerKeys } from '../../gateway/auth/issuer.ts'
import { Lru } from '../../gateway/lru.ts'
import { sha256 } from '../../gateway/sha256.ts'
import { Fault } from '../../protocol/fault.ts'
import type { Cluster } from '../documents/clusters.ts'
import { codeOf } from './proof.ts'
import { Refusal } from './refusal.ts'

const MAX_TOKEN = 8192
const SKEW_SECONDS = 30

export interface ServiceAccountToken {
  readonly issuer: string
  readonly subject: string
  /** The pod that the token is bound to. */
  readonly pod: string
  /** Of the token: the same however its text is spelled. */
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly until: number
}

export class ServiceAccounts {
  readonly #host: IssuerHost
  readonly #publicUrl: string
  readonly #issuers = new Lru<string, IssuerKeys>(256)

  /** `publicUrl`: the edge's, without a trailing slash: the audience of a token is `<publicUrl>/clusters/<id>`. */
  constructor(host: IssuerHost, publicUrl: string) {
    this.#host = host
    this.#publicUrl = publicUrl
  }

  /** Throws `Refusal`: not_admitted for what the issuer did not sign, the exact reason for what it did; unavailable. */
  async verify(cluster: Cluster, token: string): Promise<ServiceAccountToken> {
    const { issuer = '', subject } = cluster
    if (token.length > MAX_TOKEN) throw new Refusal('not_admitted', 'token is too long')
    const payload = await this.#open(cluster, issuer, token)
    // A token for several would be good elsewhere, too.
    if ([payload.aud].flat().length !== 1) throw new Refusal('wrong_audience', 'token is for several audiences')
    if (payload.sub !== subject) throw new Refusal('wrong_subject', `subject ${String(payload.sub).slice(0, 200)}`)
    const pod = podOf(payload)
    if (pod === undefined) {
      const message = 'The token is bound to no pod. Mount it as a projected volume.'
      throw new Refusal('wrong_subject', 'token without a pod', { message })
    }
    const until = ((payload.exp ?? 0) + SKEW_SECONDS) * 1000
    return { issuer, subject, pod, id: await sha256(JSON.stringify(payload)), until }
  }

  async #open(cluster: Cluster, issuer: string, token: string): Promise<JWTPayload> {
    const { jwks } = cluster
    const options = {
      issuer,
      audience: `${this.#publicUrl}/clusters/${cluster.id}`,
      algorithms: [...DEFAULT_ALGORITHMS],
      requiredClaims: ['sub', 'exp'],
      clockTolerance: SKEW_SECONDS,
      currentDate: new Date(this.#host.now()),
    }
    try {
      const discovered = this.#keys(issuer)
      const keys =
        jwks === undefined
          ? (header: JWSHeaderParameters, jws: FlattenedJWSInput) => discovered.key(header, jws)
          : createLocalJWKSet(jwks as unknown as JSONWebKeySet)
      const { payload } = await jwtVerify(token, keys, options)
      return payload
    } catch (error) {
      throw explained(error)
    }
  }

  #keys(issuer: string): IssuerKeys {
    const known = this.#issuers.get(issuer)
    if (known !== undefined) return known
    const { allowLoopback } = this.#host
    const keys = new IssuerKeys(
      {
        issuer,
        jwksUrl: undefined,
        introspection: undefined,
        algorithms: DEFAULT_ALGORITHMS,
        clockSkewSeconds: SKEW_SECONDS,
        groupsClaim: 'groups',
        allowHttp: allowLoopback,
        allowPrivate: allowLoopback,
      },
      this.#host,
    )
    this.#issuers.set(issuer, keys)
    return keys
  }
}

/** Claims are looked at only after the signature holds, so what they lack may be said. */
function explained(error: unknown): Refusal {
  if (error instanceof Fault) return new Refusal('unavailable', error.detail ?? error.reason)
  if (error instanceof errors.JWTExpired) return new Refusal('token_expired', 'token has expired')
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return new Refusal('wrong_audience', 'token is for another audience')
    return new Refusal('not_admitted', `claim ${error.claim} does not hold`)
  }
  return new Refusal('not_admitted', `token does not verify: ${codeOf(error)}`)
}

function podOf(payload: JWTPayload): string | undefined {
  const { pod } = (payload['kubernetes.io'] ?? {}) as { pod?: { uid?: unknown } }
  return typeof pod?.uid === 'string' && pod.uid !== '' ? pod.uid : undefined
}
