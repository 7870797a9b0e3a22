// An uplink as a test plays it: a real WebSocket to a real edge, on which the test says what it wants and sees every frame.

import { randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'
import { Identity } from '../../agent/uplink/identity.ts'
import { Sessions } from '../../agent/uplink/session.ts'
import { decodeEdge, encode } from '../../protocol/frame.ts'
import { LINK_PROTOCOLS, PING, type CallTarget, type EdgeFrame, type UplinkFrame } from '../../protocol/link.ts'
import { bodyDigest, type SnapshotItem } from '../../protocol/snapshot.ts'
import type { TestEdge } from '../edge.ts'
import type { Manifest } from '../peers/manifests.ts'

const WAIT_MS = 30_000

export interface Received {
  readonly frame: EdgeFrame
  readonly payload: Buffer
}

/** A call as it arrived, whole; answers are frames of the test's own making. */
export interface ArrivedCall {
  readonly call: string
  readonly target: CallTarget
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Publication {
  readonly manifest: Manifest
  /** Text that the server's proxy publishes. */
  readonly catalog?: string
  readonly uid?: string
}

/** What there must be of an edge to join it. */
export type Joinable = Pick<TestEdge, 'url' | 'admin'>

/** Adds a cluster that joins by token, and makes the identity that has joined. */
export async function join(
  edge: Joinable,
  cluster: string,
  allow: Readonly<Record<string, readonly string[]>> = {},
): Promise<Identity> {
  await asked(edge.admin('PUT', `/admin/v1/clusters/${cluster}`, { method: 'join-token', allow }))
  const { token } = (await asked(edge.admin('POST', `/admin/v1/clusters/${cluster}/token`, {}))) as { token: string }
  const identity = await Identity.generate()
  const sessions = sessionsOf(edge, cluster, 'joiner', identity, token)
  await sessions.renew(AbortSignal.timeout(WAIT_MS))
  return identity
}

async function asked(response: Promise<Response>): Promise<unknown> {
  const { ok, status } = await response
  const text = await (await response).text()
  if (!ok) throw new Error(`admin: ${status} ${text}`)
  return JSON.parse(text)
}

function sessionsOf(
  edge: Pick<TestEdge, 'url'>,
  cluster: string,
  replica: string,
  identity: Identity,
  token?: string,
): Sessions {
  const joinToken = token === undefined ? {} : { joinToken: async () => token }
  return new Sessions({ edge: edge.url, cluster, replica, fetch, now: Date.now, ...joinToken }, identity)
}

export interface ConnectOptions {
  readonly replica?: string
  readonly isLeader?: boolean
  readonly protocols?: readonly string[]
  /** Milliseconds between pings; 0: none. */
  readonly pingMs?: number
}

export class ScriptedUplink {
  readonly sessions: Sessions
  readonly received: Received[] = []
  /** Code and reason of the close, once it is closed. */
  closed: { readonly code: number; readonly reason: string } | undefined
  protocol = ''
  readonly #socket: WebSocket
  #waiting: (() => void)[] = []
  #pings: NodeJS.Timeout | undefined

  private constructor(socket: WebSocket, sessions: Sessions) {
    this.#socket = socket
    this.sessions = sessions
    socket.on('message', (data: Buffer, isBinary) => {
      if (!isBinary) return
      const decoded = decodeEdge(data)
      if (decoded.kind === 'frame') this.received.push({ frame: decoded.frame, payload: Buffer.from(decoded.payload) })
      this.#wake()
    })
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() }
      clearInterval(this.#pings)
      this.#wake()
    })
    socket.on('error', () => undefined)
  }

  /** Opens a link. Rejects when the edge refuses the upgrade. */
  static async connect(
    edge: Pick<TestEdge, 'url'>,
    cluster: string,
    identity: Identity,
    options: ConnectOptions = {},
  ): Promise<ScriptedUplink> {
    const { replica = randomUUID(), isLeader = true, protocols = LINK_PROTOCOLS, pingMs = 1_000 } = options
    const sessions = sessionsOf(edge, cluster, replica, identity)
    const { url, headers } = await sessions.connection(AbortSignal.timeout(WAIT_MS))
    const socket = new WebSocket(url, [...protocols], { headers, perMessageDeflate: false })
    const uplink = new ScriptedUplink(socket, sessions)
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    })
    uplink.protocol = socket.protocol
    uplink.send({ kind: 'hello', replica, version: '0.0.0', isLeader })
    if (pingMs > 0) uplink.#pings = setInterval(() => socket.send(PING), pingMs)
    return uplink
  }

  send(frame: UplinkFrame, payload?: Uint8Array | string): void {
    this.#socket.send(encode(frame, typeof payload === 'string' ? Buffer.from(payload) : payload))
  }

  sendRaw(data: Uint8Array | string): void {
    this.#socket.send(data)
  }

  /** The first frame of this kind from position `from` on that matches. */
  async until<K extends EdgeFrame['kind']>(
    kind: K,
    match: (frame: Extract<EdgeFrame, { kind: K }>, payload: Buffer) => boolean = () => true,
    from = 0,
  ): Promise<{ readonly frame: Extract<EdgeFrame, { kind: K }>; readonly payload: Buffer; readonly at: number }> {
    const is = (frame: EdgeFrame): frame is Extract<EdgeFrame, { kind: K }> => frame.kind === kind
    const deadline = Date.now() + WAIT_MS
    for (;;) {
      for (const [at, { frame, payload }] of this.received.entries())
        if (at >= from && is(frame) && match(frame, payload)) return { frame, payload, at }
      if (this.closed !== undefined || Date.now() > deadline) {
        const seen = this.received.map(({ frame }) => frame.kind).join(' ')
        throw new Error(`no frame "${kind}" among: ${seen}; closed: ${JSON.stringify(this.closed)}`)
      }
      await this.#next(deadline - Date.now())
    }
  }

  /** Resolves once the edge has closed the link. */
  async ended(): Promise<{ readonly code: number; readonly reason: string }> {
    const deadline = Date.now() + WAIT_MS
    while (this.closed === undefined) {
      if (Date.now() > deadline) throw new Error('the link is still open')
      await this.#next(deadline - Date.now())
    }
    return this.closed
  }

  /** The epoch under which this link publishes, once it is told. */
  async leads(from = 0): Promise<number> {
    return (await this.until('lead', undefined, from)).frame.epoch
  }

  /** Publishes all of this and waits until it is registered. */
  async publish(epoch: number, seq: number, publications: readonly Publication[]) {
    const bodies = new Map<string, Buffer>()
    const items: SnapshotItem[] = []
    for (const { manifest, catalog, uid = 'uid-1' } of publications) {
      const resource = JSON.stringify(manifest)
      const text = catalog === undefined ? `{"resource":${resource}}` : `{"resource":${resource},"catalog":${catalog}}`
      const bytes = Buffer.from(text)
      const digest = await bodyDigest(new Uint8Array(bytes))
      const { namespace, name } = manifest.metadata
      bodies.set(digest, bytes)
      items.push({ kind: manifest.kind as SnapshotItem['kind'], namespace, name, uid, digest })
    }
    const from = this.received.length
    this.send({ kind: 'snapshot', epoch, seq, last: true }, JSON.stringify({ format: 1, items }))
    const wanted: string[] = []
    for (let at = from; ;) {
      const isNext = (frame: EdgeFrame) => (frame.kind === 'want' || frame.kind === 'registered') && frame.seq === seq
      await this.#untilAny(isNext, at)
      const found = this.received.findIndex(({ frame }, index) => index >= at && isNext(frame))
      const frame = this.received[found]?.frame
      if (frame?.kind === 'registered') return { dropped: frame.dropped, wanted }
      at = found + 1
      if (frame?.kind !== 'want') continue
      for (const digest of frame.digests) {
        wanted.push(digest)
        const bytes = bodies.get(digest) ?? Buffer.alloc(0)
        for (let start = 0; start === 0 || start < bytes.length; start += 200_000) {
          const last = start + 200_000 >= bytes.length
          this.send({ kind: 'body', epoch, digest, last }, bytes.subarray(start, start + 200_000))
        }
      }
    }
  }

  /** The next call that arrives, with its whole body. */
  async arrived(from = 0): Promise<ArrivedCall & { readonly at: number }> {
    const { frame, payload, at } = await this.until('open', undefined, from)
    const { call, target, headers } = frame
    const pieces = [payload]
    for (let last = frame.last, after = at + 1; !last;) {
      const next = await this.until('data', (data) => data.call === call, after)
      pieces.push(next.payload)
      last = next.frame.last
      after = next.at + 1
    }
    return { call, target, headers, body: Buffer.concat(pieces).toString(), at }
  }

  /** Answers a call with JSON. */
  reply(call: string, body: unknown, status = 200): void {
    const headers = { 'content-type': 'application/json' }
    this.send({ kind: 'head', call, status, headers, last: true }, JSON.stringify(body))
  }

  /** Stops saying anything, as behind a network that lost it; the socket stays open. */
  fallSilent(): void {
    clearInterval(this.#pings)
    this.#socket.pause()
  }

  close(): void {
    clearInterval(this.#pings)
    this.#socket.terminate()
  }

  async #untilAny(match: (frame: EdgeFrame) => boolean, from: number): Promise<void> {
    const deadline = Date.now() + WAIT_MS
    while (!this.received.some(({ frame }, at) => at >= from && match(frame))) {
      if (this.closed !== undefined || Date.now() > deadline) {
        const seen = this.received.map(({ frame }) => frame.kind).join(' ')
        throw new Error(`nothing like it among: ${seen}; closed: ${JSON.stringify(this.closed)}`)
      }
      await this.#next(deadline - Date.now())
    }
  }

  async #next(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, milliseconds))
      this.#waiting.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}
