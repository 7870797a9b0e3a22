// Both ends of the link against each other, with a network and two worlds that a script moves: frames arrive late, links break or
// fall silent, either end starts anew, readers are slow. It keeps the books of every byte, and fails as soon as they do not balance.

import assert from 'node:assert/strict'
import { UplinkCalls, type EdgeCallFrame, type UplinkEffect } from '../../agent/uplink/calls.ts'
import { HubCalls, type HubEffect, type UplinkCallFrame } from '../../edge/hub/calls.ts'
import { EMPTY } from '../../protocol/flow.ts'
import { decodeEdge, decodeUplink, encode } from '../../protocol/frame.ts'
import { WINDOW, type EdgeFrame, type UplinkFrame } from '../../protocol/link.ts'

/** What a call asks for and gets, in bytes. */
export interface Order {
  readonly request: number
  readonly answer: number
  /** What is read at once from either body. */
  readonly piece: number
  /** Milliseconds until the server begins to answer. */
  readonly delay: number
  /** The server breaks off after so many bytes of its answer. */
  readonly breaksAt?: number
}

/** One body on its way: its bytes follow from the number of the call, so that every one of them has its place. */
class Body {
  readonly #seed: number
  readonly #size: number
  readonly #piece: number
  readonly #breaksAt: number
  #read = 0
  #arrived = 0
  #taken = 0
  isComplete = false

  constructor(seed: number, size: number, { piece, breaksAt = Infinity }: Order) {
    this.#seed = seed
    this.#size = size
    this.#piece = piece
    this.#breaksAt = breaksAt
  }

  get unread(): number {
    return this.#arrived - this.#taken
  }

  /** The next piece of the source; undefined where the source breaks off. */
  read(): { bytes: Uint8Array; last: boolean } | undefined {
    if (this.#read >= this.#breaksAt) return undefined
    const to = Math.min(this.#size, this.#read + this.#piece)
    const bytes = pattern(this.#seed, this.#read, to)
    this.#read = to
    // What is anywhere between the source and the reader.
    assert.ok(this.#read - this.#taken <= WINDOW + this.#piece, 'a slow reader lets more than a window pile up')
    return { bytes, last: to === this.#size && to < this.#breaksAt }
  }

  arrive(bytes: Uint8Array, last: boolean): void {
    assert.ok(!this.isComplete, 'bytes after the end')
    const from = this.#arrived
    this.#arrived += bytes.length
    const isSame = Buffer.compare(bytes, pattern(this.#seed, from, this.#arrived)) === 0
    assert.ok(isSame, `bytes ${from} to ${this.#arrived} are not those that were sent there`)
    assert.ok(this.unread <= WINDOW, 'more unread than there was credit for')
    if (last) assert.equal(this.#arrived, this.#size, 'the end came too early')
    this.isComplete = last
  }

  take(most: number): number {
    const bytes = Math.min(most, this.unread)
    this.#taken += bytes
    return bytes
  }
}

interface Caller {
  readonly order: Order
  readonly hub: HubCalls
  readonly request: Body
  readonly answer: Body
  id: string
  /** How it ended: `last`, the reason of a fault, `cancelled`, or `forgotten` with its hub. */
  outcome: string | undefined
  isUnsent: boolean
}

interface Server {
  readonly call: string
  readonly caller: Caller
  readonly link: Link
  readonly beginsAt: number
  isBegun: boolean
  /** Answered, broken off or aborted. */
  isOver: boolean
}

interface Link {
  readonly name: string
  readonly uplink: UplinkCalls
  readonly servers: Map<string, Server>
  readonly down: Uint8Array[]
  readonly up: Uint8Array[]
  isOpenAtHub: boolean
  isOpenAtUplink: boolean
  /** Nothing arrives any more, and neither end knows. */
  isSilent: boolean
}

const PATTERN = Buffer.from(Array.from({ length: 65_521 }, (_, at) => (at * 7919 + (at >> 8) * 31) & 0xff))
const LONG = Buffer.concat(Array.from({ length: 64 }, () => PATTERN))

function pattern(seed: number, from: number, to: number): Uint8Array {
  const start = (seed * 4099 + from) % PATTERN.length
  return LONG.subarray(start, start + to - from)
}

export class Network {
  readonly callers: Caller[] = []
  readonly links: Link[] = []
  /** Ids of calls that servers have got, over all links: none twice. */
  readonly #made = new Set<string>()
  readonly #byId = new Map<string, Caller>()
  #hub = new HubCalls('hub1')
  #hubs = 1
  #now = 0

  get now(): number {
    return this.#now
  }

  connect(): void {
    const name = `link${this.links.length}`
    const end = { isOpenAtHub: true, isOpenAtUplink: true, isSilent: false }
    this.links.push({ name, uplink: new UplinkCalls(), servers: new Map(), down: [], up: [], ...end })
    this.#hub.opened(name)
  }

  call(order: Order): void {
    const seed = this.callers.length
    const caller: Caller = {
      order,
      hub: this.#hub,
      request: new Body(seed, order.request, { ...order, breaksAt: Infinity }),
      answer: new Body(seed + 1, order.answer, order),
      id: '',
      outcome: undefined,
      isUnsent: false,
    }
    this.callers.push(caller)
    const { bytes, last } = caller.request.read() ?? { bytes: EMPTY, last: true }
    const target = { kind: 'MCPServer', namespace: 'a', name: `s${seed}` }
    const wanted = { target, method: 'POST' as const, headers: {}, deadlineMs: 10_000, body: bytes, last }
    const { call, effects } = this.#hub.open(wanted, this.#now)
    caller.id = call
    this.#byId.set(call, caller)
    this.#atHub(effects)
  }

  /** The caller leaves. */
  cancel(caller: Caller): void {
    if (caller.outcome !== undefined) return
    caller.outcome = 'cancelled'
    this.#atHub(caller.hub.cancel(caller.id))
  }

  /** Readers of one call take up to so many bytes. */
  read(caller: Caller, most: number): void {
    const answer = caller.answer.take(most)
    if (answer > 0 && caller.hub === this.#hub) this.#atHub(this.#hub.took(caller.id, answer))
    for (const link of this.links) {
      const server = link.servers.get(caller.id)
      if (server === undefined) continue
      const request = caller.request.take(most)
      if (request > 0) this.#atUplink(link, link.uplink.took(caller.id, request))
    }
  }

  /** The next frame on its way arrives. */
  deliver(link: Link, isDown: boolean): void {
    if (link.isSilent) return
    const data = (isDown ? link.down : link.up).shift()
    if (data === undefined) return
    if (isDown && link.isOpenAtUplink) {
      const decoded = decodeEdge(data)
      assert.ok(decoded.kind === 'frame')
      const { frame, payload } = decoded
      if (frame.kind === 'welcome') this.#atUplink(link, link.uplink.forget())
      else this.#atUplink(link, link.uplink.frame(frame as EdgeCallFrame, payload, this.#now))
    } else if (!isDown && link.isOpenAtHub) {
      const decoded = decodeUplink(data)
      assert.ok(decoded.kind === 'frame')
      this.#atHub(this.#hub.frame(link.name, decoded.frame as UplinkCallFrame, decoded.payload))
    }
  }

  pass(milliseconds: number): void {
    this.#now += milliseconds
    if ((this.#hub.due ?? Infinity) <= this.#now) this.#atHub(this.#hub.tick(this.#now))
    for (const link of this.links) {
      if (!link.isOpenAtUplink) continue
      if ((link.uplink.due ?? Infinity) <= this.#now) this.#atUplink(link, link.uplink.tick(this.#now))
      for (const server of link.servers.values()) this.#begin(server)
    }
  }

  /** The link breaks; either end may see that before or after the other. */
  cut(link: Link, atHub: boolean, atUplink: boolean): void {
    if (atHub && link.isOpenAtHub) {
      link.isOpenAtHub = false
      link.up.length = 0
      this.#atHub(this.#hub.closed(link.name))
    }
    if (atUplink && link.isOpenAtUplink) {
      link.isOpenAtUplink = false
      link.down.length = 0
      this.#atUplink(link, link.uplink.closed())
    }
  }

  silence(link: Link): void {
    link.isSilent = true
  }

  goaway(link: Link): void {
    if (!link.isOpenAtUplink) return
    link.uplink.drain()
    this.#send(link, 'up', { kind: 'goaway' }, EMPTY)
  }

  /** The hub loses its memory, and keeps its links. */
  wake(): void {
    for (const caller of this.callers) caller.outcome ??= 'forgotten'
    this.#hubs += 1
    this.#hub = new HubCalls(`hub${this.#hubs}`)
    for (const link of this.links) {
      if (!link.isOpenAtHub) continue
      this.#send(link, 'down', { kind: 'welcome', connection: link.name, serverTime: this.#now }, EMPTY)
      this.#hub.opened(link.name)
    }
  }

  /** From now on everything works, and whoever finds a link silent closes it: then every call must end. */
  settle(): void {
    for (const link of this.links) {
      if (!link.isSilent && link.isOpenAtHub && link.isOpenAtUplink) continue
      this.cut(link, true, true)
      link.down.length = 0
      link.up.length = 0
    }
    for (let round = 0; this.#isBusy(); round += 1) {
      assert.ok(round < 2_000, `calls that do not end: ${this.#open()}`)
      for (const link of this.links) {
        for (let left = 64; left > 0 && link.down.length > 0; left -= 1) this.deliver(link, true)
        for (let left = 64; left > 0 && link.up.length > 0; left -= 1) this.deliver(link, false)
      }
      for (const caller of this.callers) this.read(caller, 1_000_000)
      this.pass(100)
    }
    for (const link of this.links) {
      assert.equal(link.uplink.count, 0, 'the uplink keeps a call that is over')
      assert.ok(link.servers.values().every((server) => server.isOver))
    }
    assert.equal(this.#hub.count(), 0, 'the hub keeps a call that is over')
    assert.equal(this.#hub.due, undefined, 'a hub without calls has nothing to wait for')
    for (const caller of this.callers) {
      assert.notEqual(caller.outcome, undefined)
      if (caller.outcome === 'last') assert.ok(caller.answer.isComplete)
      if (caller.isUnsent) assert.ok(!this.#made.has(caller.id), 'a call that was said to be unsent was made')
    }
  }

  #isBusy(): boolean {
    return (
      this.callers.some((caller) => caller.outcome === undefined) ||
      this.#hub.due !== undefined ||
      this.links.some((link) => link.uplink.count > 0 || link.down.length > 0 || link.up.length > 0)
    )
  }

  #open(): string {
    return this.callers
      .filter((caller) => caller.outcome === undefined)
      .map((caller) => `${caller.id} ${JSON.stringify(caller.order)}`)
      .join(', ')
  }

  #atHub(effects: readonly HubEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send': {
          const link = this.links.find((one) => one.name === effect.connection)
          assert.ok(link?.isOpenAtHub, 'sent on a link that is closed')
          this.#send(link, 'down', effect.frame, effect.payload)
          break
        }
        case 'close':
          assert.fail(`the hub refused what its uplink sent: ${effect.reason}`)
        default: {
          const caller = this.#byId.get(effect.call)
          assert.ok(caller !== undefined && caller.hub === this.#hub)
          if (effect.kind === 'read') {
            const piece = caller.request.read()
            assert.ok(piece !== undefined && caller.outcome === undefined)
            this.#atHub(this.#hub.piece(effect.call, piece.bytes, piece.last))
            break
          }
          assert.equal(caller.outcome, undefined, `${effect.kind} for a call that is over`)
          if (effect.kind === 'fault') {
            caller.outcome = effect.fault.reason
            caller.isUnsent = effect.fault.unsent
          } else {
            caller.answer.arrive(effect.bytes, effect.last)
            if (effect.last) caller.outcome = 'last'
          }
        }
      }
    }
  }

  #atUplink(link: Link, effects: readonly UplinkEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          assert.ok(link.isOpenAtUplink, 'sent on a link that is closed')
          this.#send(link, 'up', effect.frame, effect.payload)
          if ('last' in effect.frame && effect.frame.last && 'call' in effect.frame) this.#over(link, effect.frame.call)
          if (effect.frame.kind === 'fault' && effect.frame.reason !== 'timeout') this.#over(link, effect.frame.call)
          break
        case 'close':
          assert.fail(`the uplink refused what its hub sent: ${effect.reason}`)
        case 'open': {
          const caller = this.#byId.get(effect.call)
          assert.ok(caller !== undefined)
          assert.ok(!this.#made.has(effect.call), 'a call is made twice')
          this.#made.add(effect.call)
          caller.request.arrive(effect.bytes, effect.last)
          const beginsAt = this.#now + caller.order.delay
          const server = { call: effect.call, caller, link, beginsAt, isBegun: false, isOver: false }
          link.servers.set(effect.call, server)
          break
        }
        case 'piece':
          server(link, effect.call).caller.request.arrive(effect.bytes, effect.last)
          break
        case 'read':
          this.#answer(server(link, effect.call))
          break
        case 'abort':
          assert.ok(!server(link, effect.call).isOver, 'aborted what was over')
          server(link, effect.call).isOver = true
      }
    }
  }

  #over(link: Link, call: string): void {
    const found = link.servers.get(call)
    // Refused before it was made.
    if (found === undefined) return
    assert.ok(!found.isOver, 'a call ended twice')
    found.isOver = true
  }

  #begin(server: Server): void {
    if (server.isBegun || server.isOver || this.#now < server.beginsAt) return
    server.isBegun = true
    const piece = server.caller.answer.read()
    const { link, call } = server
    if (piece === undefined) this.#atUplink(link, link.uplink.fail(call, BROKE))
    else this.#atUplink(link, link.uplink.head(call, 200, {}, piece.bytes, piece.last))
  }

  #answer(server: Server): void {
    const { link, call } = server
    const piece = server.caller.answer.read()
    if (piece === undefined) this.#atUplink(link, link.uplink.fail(call, BROKE))
    else this.#atUplink(link, link.uplink.piece(call, piece.bytes, piece.last))
  }

  #send(link: Link, way: 'down' | 'up', frame: EdgeFrame | UplinkFrame, payload: Uint8Array): void {
    link[way].push(encode(frame, payload))
  }
}

const BROKE = { reason: 'refused', message: 'The server broke off.', unsent: false } as const

function server(link: Link, call: string): Server {
  const found = link.servers.get(call)
  assert.ok(found !== undefined)
  return found
}
