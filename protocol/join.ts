// How a cluster proves who it is: an uplink holds a P-256 key and signs every request of its own with it; what it shows besides (a token of
// its ServiceAccount, or once a join token) is exchanged for a session credential that only this key can use. Close to DPoP
// (RFC 9449), with the edge's nonces, so that nothing overheard can be used again.

/** Paths at the edge. */
export const JOIN = {
  /** POST `NonceRequest` → `NonceReply`. */
  nonce: '/link/v1/nonce',
  /** POST `JoinRequest` → `JoinReply`: redeems a join token; from then on the key is the identity. */
  join: '/link/v1/join',
  /** POST `SessionRequest` → `SessionReply`. With `Authorization: Bearer <ServiceAccount token>` where the cluster joins by OIDC. */
  session: '/link/v1/session',
  /** GET, WebSocket, with `Authorization: Bearer <session token>`. */
  connect: '/link/v1/connect',
} as const

/** Header with the proof: a JWS, ES256, whose protected header carries `typ` and the public key as `jwk`. */
export const PROOF_HEADER = 'waggle-proof'
export const PROOF_TYPE = 'waggle-proof+jwt'
/** A proof is believed this long after it was made, in seconds; clocks may differ by as much. */
export const PROOF_SECONDS = 60
/** Largest body of these requests, in bytes. */
export const MAX_JOIN_BODY = 32 * 1024
/** Longest life of a session credential, in seconds. */
export const SESSION_SECONDS = 600

/** Claims of a proof. A proof is good for one request. */
export interface Proof {
  readonly jti: string
  readonly iat: number
  /** Method and URL of the request, without query. */
  readonly htm: string
  readonly htu: string
  readonly nonce: string
  readonly cluster: string
  /** base64url(SHA-256) of the token that the request carries, where it carries one. */
  readonly ath?: string
  /** base64url(SHA-256) of the body's bytes, where the request has one. */
  readonly dig?: string
}

export interface NonceRequest {
  readonly cluster: string
}

export interface NonceReply {
  readonly nonce: string
  /** Milliseconds since the epoch: whoever's clock is off signs by this one. */
  readonly serverTime: number
}

export interface JoinRequest {
  readonly cluster: string
  readonly token: string
}
export interface JoinReply {
  readonly cluster: string
  /** RFC 7638 thumbprint of the key that is the cluster's identity now. */
  readonly thumbprint: string
}

export interface SessionRequest {
  readonly cluster: string
  /** The replica: the pod's uid. Where the cluster joins by OIDC it is the pod that the ServiceAccount's token is bound to. */
  readonly replica: string
  /** A connection whose credential is to be renewed. */
  readonly connection?: string
  /**
   * A new public key (JWK) that shall be an identity of the cluster besides the one that signs: how keys are rotated where the
   * cluster joined by a token. A day after the new one was first used, the others are none any more.
   */
  readonly nextKey?: unknown
}
export interface SessionReply {
  readonly token: string
  /** Milliseconds since the epoch, by the edge's clock. */
  readonly expires: number
  readonly serverTime: number
}
/**
 * Why somebody is not let in. Strangers learn `not_admitted` whatever is wrong; the exact reasons are for those who have shown a
 * signature that holds. What an uplink does next is the same for all: ask for a new nonce and try again, not before `Retry-After`.
 */
export type JoinReason =
  /** The request is not one that an uplink makes. */
  | 'invalid_request'
  | 'invalid_proof'
  | 'clock_skew'
  | 'stale_nonce'
  | 'replayed'
  /** Unknown or revoked cluster, another way of joining, a token or key that is not this cluster's. */
  | 'not_admitted'
  | 'token_expired'
  | 'wrong_audience'
  | 'wrong_subject'
  /** The token has been shown with another key before. */
  | 'token_bound'
  | 'session_expired'
  | 'too_many'
  | 'unavailable'

/** Every refusal: HTTP 4xx or 5xx with this body, and `Retry-After` where it makes sense. */
export interface JoinRefused {
  readonly error: { readonly reason: JoinReason; readonly message: string }
}
