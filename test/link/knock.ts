// Requests of joining made by hand: as an uplink makes them, except where the test wants them wrong.

import { WebSocket } from 'ws'
import type { Identity, ProofOf } from '../../agent/uplink/identity.ts'
import { JOIN, PROOF_HEADER } from '../../protocol/join.ts'
import { LINK_PROTOCOLS } from '../../protocol/link.ts'

export interface Reply {
  readonly status: number
  readonly reason: string | undefined
  readonly body: Readonly<Record<string, unknown>>
}

/** What is proven, where it shall differ from what is sent. */
export type Claimed = Partial<ProofOf>

/** A request that is ready to be sent, once or more often. */
export interface Prepared {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

export class Knocker {
  readonly #edge: string
  readonly #cluster: string

  constructor(edge: string, cluster: string) {
    this.#edge = edge
    this.#cluster = cluster
  }

  async prepare(
    path: string,
    who: Identity,
    more: { body?: object; bearer?: string; claimed?: Claimed } = {},
  ): Promise<Prepared> {
    const { bearer } = more
    const cluster = this.#cluster
    const { body: given } = await post({
      url: `${this.#edge}${JOIN.nonce}`,
      headers: {},
      body: JSON.stringify({ cluster }),
    })
    const body = more.body === undefined ? undefined : JSON.stringify(more.body)
    const proof = await who.proof({
      cluster,
      method: body === undefined ? 'GET' : 'POST',
      url: `${this.#edge}${path}`,
      nonce: String(given['nonce']),
      now: Date.now(),
      ...(bearer !== undefined && { token: bearer }),
      ...(body !== undefined && { body }),
      ...more.claimed,
    })
    return {
      url: `${this.#edge}${path}`,
      headers: { [PROOF_HEADER]: proof, ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }) },
      body,
    }
  }

  async join(who: Identity, token: string): Promise<Reply> {
    return post(await this.prepare(JOIN.join, who, { body: { cluster: this.#cluster, token } }))
  }

  async session(who: Identity, bearer?: string, claimed?: Claimed, replica = 'pod-1'): Promise<Reply> {
    const body = { cluster: this.#cluster, replica }
    const more = { body, ...(bearer !== undefined && { bearer }), ...(claimed !== undefined && { claimed }) }
    return post(await this.prepare(JOIN.session, who, more))
  }

  async connect(who: Identity, bearer: string, claimed?: Claimed): Promise<Reply> {
    return upgrade(await this.prepare(JOIN.connect, who, { bearer, ...(claimed !== undefined && { claimed }) }))
  }
}

export async function post({ url, headers, body = '' }: Prepared): Promise<Reply> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body }
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(30_000) })
  return reply(response.status, await response.text())
}

/** Opens the WebSocket; one that opens is closed at once. */
export function upgrade({ url, headers }: Prepared): Promise<Reply> {
  const socket = new WebSocket(url.replace('http', 'ws'), [...LINK_PROTOCOLS], { headers, handshakeTimeout: 30_000 })
  return new Promise((resolve, reject) => {
    socket.once('open', () => {
      socket.close()
      resolve({ status: 101, reason: undefined, body: {} })
    })
    socket.once('unexpected-response', (_, response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => resolve(reply(response.statusCode ?? 0, text)))
    })
    socket.once('error', reject)
  })
}

function reply(status: number, text: string): Reply {
  const body = JSON.parse(text) as Record<string, unknown> & { error?: { reason: string } }
  return { status, reason: body.error?.reason, body }
}
