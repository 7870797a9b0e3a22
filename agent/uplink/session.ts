// How an uplink gets in and stays in: nonce, then a session credential, renewed before it ends; where the cluster joins by token and
// the edge does not know the key yet, the token is redeemed first. Clocks may differ: proofs are dated by the edge's.
// Every request has a deadline, and none follows a refusal sooner than the edge asked.

import type { JWK } from 'jose'
import * as z from 'zod'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import { readBounded } from '../../gateway/bounded.ts'
import {
  JOIN,
  type JoinReason,
  type JoinRequest,
  type NonceRequest,
  PROOF_HEADER,
  type SessionRequest,
} from '../../protocol/join.ts'
import type { Identity } from './identity.ts'

/** How long the edge may take over an answer, where nothing else is said. */
const PATIENCE_MS = 5_000
const MAX_REPLY = 64 * 1024
/** A credential that ends sooner is not worth connecting with. */
const LEFT_MS = 30_000

export interface SessionHost {
  /** Without a trailing slash. */
  readonly edge: string
  readonly cluster: string
  /** The pod's uid. */
  readonly replica: string
  /** The ServiceAccount's token, read anew each time; absent where the cluster joins by token. */
  readonly accountToken?: () => Promise<string>
  /** The join token, while there is one. */
  readonly joinToken?: () => Promise<string | undefined>
  readonly fetch: Fetch
  readonly now: () => number
}

export interface Credential {
  readonly token: string
  /** By this machine's clock, in milliseconds. */
  readonly expires: number
  /** A third of its life before it ends. */
  readonly renewAt: number
}

/** The edge refused, or could not be reached. `retryAfterMs`: how long it asked to be left alone. */
export class JoinError extends Error {
  override readonly name = 'JoinError'
  readonly reason: JoinReason | 'unreachable'
  readonly retryAfterMs: number | undefined

  constructor(reason: JoinReason | 'unreachable', message: string, retryAfterMs?: number) {
    super(message)
    this.reason = reason
    this.retryAfterMs = retryAfterMs
  }
}

/** Until when an answer is waited for. */
interface Within {
  readonly signal: AbortSignal
  readonly patienceMs: number
}

const NonceShape = z.object({ nonce: z.string().max(4096), serverTime: z.number() })
const SessionShape = z.object({ token: z.string().min(1).max(16_384), expires: z.number(), serverTime: z.number() })
const JoinShape = z.object({ cluster: z.string(), thumbprint: z.string() })
const RefusedShape = z.object({ error: z.object({ reason: z.string(), message: z.string() }) })

export class Sessions {
  readonly #host: SessionHost
  #identity: Identity
  /** The edge's clock minus ours, in milliseconds. */
  #offset = 0
  #credential: Credential | undefined

  constructor(host: SessionHost, identity: Identity) {
    this.#host = host
    this.#identity = identity
  }

  get identity(): Identity {
    return this.#identity
  }
  /** The edge's time, in milliseconds. */
  get edgeNow(): number {
    return this.#host.now() + this.#offset
  }

  /** Signs with another key from now on; the edge must know it: see `announce`. */
  use(identity: Identity): void {
    this.#identity = identity
    this.#credential = undefined
  }

  /**
   * Address and headers for the WebSocket, good for one attempt within a minute. `patienceMs`: how long the edge may take over each
   * answer. Throws `JoinError`.
   */
  async connection(
    signal: AbortSignal,
    patienceMs = PATIENCE_MS,
  ): Promise<{ url: string; headers: Record<string, string>; credential: Credential }> {
    const { edge, cluster, now } = this.#host
    const known = this.#credential
    const credential =
      known !== undefined && known.expires - now() > LEFT_MS ? known : await this.#renew({ signal, patienceMs }, {})
    const url = `${edge}${JOIN.connect}`
    const nonce = await this.#nonce({ signal, patienceMs })
    const { token } = credential
    const proof = await this.#identity.proof({ cluster, method: 'GET', url, nonce, token, now: this.edgeNow })
    return {
      url: url.replace(/^http/u, 'ws'),
      headers: { authorization: `Bearer ${token}`, [PROOF_HEADER]: proof },
      credential,
    }
  }

  /** A new credential; with `connection`, for that open connection, too. Throws `JoinError`. */
  async renew(signal: AbortSignal, connection?: string): Promise<Credential> {
    return this.#renew({ signal, patienceMs: PATIENCE_MS }, { ...(connection !== undefined && { connection }) })
  }

  /** Makes another key an identity of the cluster, besides the one in use (join-token). Keep it safe first, `use` it afterwards. */
  async announce(signal: AbortSignal, nextKey: JWK): Promise<void> {
    await this.#session({ signal, patienceMs: PATIENCE_MS }, { nextKey })
  }

  /** The next connection asks for a new credential: the edge did not take this one. */
  forget(): void {
    this.#credential = undefined
  }

  async #renew(within: Within, more: Pick<SessionRequest, 'connection'>): Promise<Credential> {
    try {
      return await this.#session(within, more)
    } catch (error) {
      const isStranger = error instanceof JoinError && error.reason === 'not_admitted'
      const token = isStranger ? await this.#host.joinToken?.() : undefined
      if (token === undefined) throw error
      await this.#join(within, token.trim())
      return this.#session(within, {})
    }
  }

  async #session(within: Within, more: Pick<SessionRequest, 'connection' | 'nextKey'>): Promise<Credential> {
    const { cluster, replica, accountToken, now } = this.#host
    const body: SessionRequest = { cluster, replica, ...more }
    const account = (await accountToken?.())?.trim()
    const { token, expires, serverTime } = await this.#post(within, JOIN.session, SessionShape, body, account)
    const life = expires - serverTime
    const at = now()
    this.#credential = { token, expires: at + life, renewAt: at + (life * 2) / 3 }
    return this.#credential
  }

  async #join(within: Within, token: string): Promise<void> {
    const body: JoinRequest = { cluster: this.#host.cluster, token }
    try {
      await this.#post(within, JOIN.join, JoinShape, body)
    } catch (error) {
      // Else nobody could tell which of the two was refused, the key or the token.
      if (!(error instanceof JoinError) || error.reason !== 'not_admitted') throw error
      throw new JoinError(error.reason, `The join token is not taken. ${error.message}`, error.retryAfterMs)
    }
  }

  async #nonce(within: Within): Promise<string> {
    const { cluster, now } = this.#host
    const asked = now()
    const body: NonceRequest = { cluster }
    const { nonce, serverTime } = await this.#send(within, JOIN.nonce, NonceShape, JSON.stringify(body), {})
    this.#offset = serverTime - (asked + now()) / 2
    return nonce
  }

  async #post<T>(within: Within, path: string, shape: z.ZodType<T>, content: object, token?: string): Promise<T> {
    const { edge, cluster } = this.#host
    const nonce = await this.#nonce(within)
    const body = JSON.stringify(content)
    const now = this.edgeNow
    const proof = await this.#identity.proof({
      cluster,
      method: 'POST',
      url: `${edge}${path}`,
      nonce,
      body,
      now,
      ...(token !== undefined && { token }),
    })
    return this.#send(within, path, shape, body, {
      [PROOF_HEADER]: proof,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    })
  }

  async #send<T>(
    within: Within,
    path: string,
    shape: z.ZodType<T>,
    body: string,
    headers: Record<string, string>,
  ): Promise<T> {
    const { edge, fetch } = this.#host
    const { signal, patienceMs } = within
    let response: Response
    let text: string
    try {
      response = await fetch(`${edge}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
        redirect: 'manual',
        signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]),
      })
      text = await textOf(response)
    } catch (error) {
      signal.throwIfAborted()
      throw new JoinError('unreachable', `the edge does not answer: ${causeOf(error)}`)
    }
    if (!response.ok) throw refused(response, text)
    const parsed = shape.safeParse(json(text))
    if (parsed.success) return parsed.data
    throw new JoinError('unreachable', 'something else than an edge answers at this address')
  }
}

function refused(response: Response, text: string): JoinError {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  const retry = Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 300) * 1000 : undefined
  const parsed = RefusedShape.safeParse(json(text))
  if (!parsed.success) return new JoinError('unreachable', `the edge answers with HTTP ${response.status}`, retry)
  const { reason, message } = parsed.data.error
  return new JoinError(reason as JoinReason, message.slice(0, 500), retry)
}

async function textOf(response: Response): Promise<string> {
  const text = response.body === null ? '' : await readBounded(response.body, MAX_REPLY)
  if (text === undefined) throw new Error('too much')
  return text
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string')
    return cause.code
  return cause instanceof Error ? cause.name : 'failed'
}
