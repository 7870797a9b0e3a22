// An edge that does as a test tells it: lets every uplink in, and shows the test what comes on each connection.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'
import { decodeUplink, encode } from '../../protocol/frame.ts'
import { JOIN } from '../../protocol/join.ts'
import { LINK_PROTOCOLS, PING, PONG, type CallTarget, type EdgeFrame, type UplinkFrame } from '../../protocol/link.ts'

type Kind = UplinkFrame['kind']
type Of<K extends Kind> = Extract<UplinkFrame, { kind: K }>

export interface Heard<F extends UplinkFrame = UplinkFrame> {
  readonly frame: F
  readonly payload: Buffer
}

/** What an answer was, once it is there. */
export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Frames that it took. */
  readonly frames: number
}

/** One connection, seen from the edge. */
export class HubLink {
  readonly socket: WebSocket
  readonly headers: NodeJS.Dict<string | string[]>
  readonly closed: Promise<{ code: number; reason: string }>
  /** Everything that came, pings left out. */
  readonly heard: Heard[] = []
  pings = 0
  /** Pings are answered while this is true. */
  answersPings = true
  #wake: (() => void)[] = []
  #calls = 0

  constructor(socket: WebSocket, headers: NodeJS.Dict<string | string[]>) {
    this.socket = socket
    this.headers = headers
    const { promise, resolve } = Promise.withResolvers<{ code: number; reason: string }>()
    this.closed = promise
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    socket.on('message', (data: Buffer, isBinary) => {
      if (!isBinary) {
        assert.equal(data.toString(), PING)
        this.pings += 1
        if (this.answersPings) socket.send(PONG)
        return
      }
      const decoded = decodeUplink(data)
      assert.equal(decoded.kind, 'frame')
      this.heard.push({ frame: decoded.frame, payload: Buffer.from(decoded.payload) })
      for (const wake of this.#wake.splice(0)) wake()
    })
  }

  say(frame: EdgeFrame, payload?: Uint8Array): void {
    this.socket.send(encode(frame, payload), { binary: true })
  }

  /** The next frame of this kind that fits and that no `next` has returned, waiting for it if need be. */
  async next<K extends Kind>(kind: K, fits: (frame: Of<K>) => boolean = () => true): Promise<Heard<Of<K>>> {
    const until = performance.now() + 30_000
    for (;;) {
      const at = this.heard.findIndex(({ frame }) => frame.kind === kind && fits(frame as Of<K>))
      if (at >= 0) return this.heard.splice(at, 1)[0] as Heard<Of<K>>
      const left = until - performance.now()
      assert.ok(left > 0, `no frame ${kind}; there are ${this.heard.map(({ frame }) => frame.kind).join(', ')}`)
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, left)
      this.#wake.push(resolve)
      await promise
      clearTimeout(timer)
    }
  }

  /** Text of a snapshot or a body, put together. */
  async text(
    kind: 'snapshot' | 'body',
    fits: (frame: Of<'snapshot' | 'body'>) => boolean = () => true,
  ): Promise<{ frame: Of<'snapshot' | 'body'>; text: string }> {
    const pieces: Buffer[] = []
    for (;;) {
      const { frame, payload } = await this.next(kind, fits)
      pieces.push(payload)
      if (frame.last) return { frame, text: Buffer.concat(pieces).toString() }
    }
  }

  /** Begins a call; returns its id. */
  open(
    target: CallTarget,
    given: {
      method?: 'POST' | 'GET' | 'DELETE'
      headers?: Record<string, string>
      body?: string | undefined
      deadlineMs?: number
    } = {},
  ): string {
    this.#calls += 1
    const call = `test-${this.#calls}`
    const { method = 'POST', headers = {}, body = '', deadlineMs = 60_000 } = given
    const isWhole = !('body' in given) || given.body !== undefined
    this.say(
      { kind: 'open', call, target, method, headers, deadlineMs, last: isWhole },
      isWhole ? Buffer.from(body) : undefined,
    )
    return call
  }

  /** The whole answer of a call. */
  async answer(call: string): Promise<Answered> {
    const { frame, payload } = await this.next('head', (one) => one.call === call)
    const pieces = [payload]
    let frames = 1
    for (let { last } = frame; !last; frames += 1) {
      const data = await this.next('data', (one) => one.call === call)
      pieces.push(data.payload)
      last = data.frame.last
      if (!last) this.say({ kind: 'credit', call, bytes: Math.max(1, data.payload.length) })
    }
    return { status: frame.status, headers: frame.headers, body: Buffer.concat(pieces).toString(), frames }
  }
}

export interface ScriptedHub {
  readonly url: string
  readonly links: readonly HubLink[]
  /** The connection of this number, waiting for it if need be. */
  link(index: number): Promise<HubLink>
  /** Bodies of the sessions that were asked for. */
  readonly sessions: readonly unknown[]
  /** Answers everything with this status instead, while it is there. */
  refuse: { status: number; retryAfter?: number } | undefined
  /** Closes every socket with this code as soon as it is open, while it is there. */
  dismiss: number | undefined
  /** Requests that were refused, by when they came. */
  readonly refused: readonly number[]
  close(): Promise<void>
}

/** `sessionMs`: life of the sessions that it gives, in milliseconds. */
export async function startHub(sessionMs = 600_000): Promise<ScriptedHub> {
  const links: HubLink[] = []
  const sessions: unknown[] = []
  const refused: number[] = []
  let wake: (() => void)[] = []
  const server = createServer((request, response) => {
    const reply = (status: number, body: object, headers = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(JSON.stringify(body))
    }
    let text = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (text += chunk))
    request.on('end', () => {
      if (hub.refuse !== undefined) {
        refused.push(performance.now())
        const { status, retryAfter } = hub.refuse
        return reply(
          status,
          { error: { reason: 'unavailable', message: 'not now' } },
          retryAfter === undefined ? {} : { 'retry-after': retryAfter },
        )
      }
      const now = Date.now()
      if (request.url === JOIN.nonce) return reply(200, { nonce: 'nonce', serverTime: now })
      if (request.url !== JOIN.session) return reply(404, {})
      sessions.push(JSON.parse(text))
      return reply(200, { token: `session-${sessions.length}`, expires: now + sessionMs, serverTime: now })
    })
  })
  const sockets = new WebSocketServer({
    server,
    path: JOIN.connect,
    handleProtocols: (offered) => LINK_PROTOCOLS.find((one) => offered.has(one)) ?? false,
    verifyClient: (_info, answer) => {
      if (hub.refuse === undefined) return answer(true)
      refused.push(performance.now())
      return answer(false, hub.refuse.status, 'no')
    },
  })
  sockets.on('connection', (socket, request) => {
    const link = new HubLink(socket, request.headers)
    links.push(link)
    if (hub.dismiss === undefined)
      link.say({ kind: 'welcome', connection: `conn-${links.length}`, serverTime: Date.now() })
    else socket.close(hub.dismiss, 'not you')
    for (const one of wake.splice(0)) one()
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const hub: ScriptedHub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    links,
    sessions,
    refuse: undefined,
    dismiss: undefined,
    refused,
    link: async (index) => {
      const until = performance.now() + 30_000
      for (;;) {
        const found = links[index]
        if (found !== undefined) return found
        const left = until - performance.now()
        assert.ok(left > 0, `there is no connection ${index}`)
        const { promise, resolve } = Promise.withResolvers<void>()
        const timer = setTimeout(resolve, left)
        wake.push(resolve)
        await promise
        clearTimeout(timer)
      }
    },
    close: async () => {
      for (const { socket } of links) socket.terminate()
      sockets.close()
      server.closeAllConnections()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
    },
  }
  return hub
}
