// How a cluster proves who it is: an uplink holds a P-256 key and signs every request of its own with it; what it shows besides (a token of
// its ServiceAccount, or once a join token) is exchanged for a session credential that only this key can use. Close to DPoP
// (RFC 9449), with the edge's nonces, so that nothing overheard can be used again.

/** Paths at the edge. */
export const JOIN = {
  /** POST → `NonceReply`. */
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
  /** The replica: the pod's uid. */
  readonly replica: string
  /** A connection whose credential is to be renewed. */
  readonly connection?: string
  /** A new public key (JWK) that shall be an identity of the cluster besides the one that signs: how keys are rotated (join-token). */
  readonly nextKey?: unknown
}
export interface SessionReply {
  readonly token: string
  /** Milliseconds since the epoch, by the edge's clock. */
  readonly expires: number
  readonly serverTime: number
}
/** Every refusal: HTTP 4xx or 5xx with this body, and `Retry-After` where it makes sense. */
export interface JoinRefused {
  readonly error: { readonly reason: string; readonly message: string }
}
