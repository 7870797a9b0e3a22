// Either end of the link against a peer that sends whatever it likes, in frames that read well: nothing throws, nothing grows, no
// call ends twice, and the calls of other links do not notice.

import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UplinkCalls, type EdgeCallFrame, type UplinkEffect } from '../../agent/uplink/calls.ts'
import { HubCalls, type HubEffect, type UplinkCallFrame } from '../../edge/hub/calls.ts'
import { EMPTY } from '../../protocol/flow.ts'
import { MAX_CALLS, WINDOW } from '../../protocol/link.ts'

const target = { kind: 'MCPServer', namespace: 'a', name: 'b' }
const call = fc.oneof(
  fc.integer({ min: 1, max: 12 }).map((n) => `mine-${n}`),
  fc.integer({ min: 1, max: 4 }).map((n) => `other-${n}`),
)
const last = fc.boolean()
const bytes = fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 1, max: WINDOW }))
/** Bytes of a payload: sometimes more than there can be credit for. */
const payload = fc.oneof(fc.constant(0), fc.nat(1_000), fc.constantFrom(WINDOW / 2, WINDOW - 1_000, WINDOW, WINDOW + 1))
const is = <T extends string>(name: T) => fc.constant(name)
const common = [fc.record({ kind: is('data'), call, last }), fc.record({ kind: is('credit'), call, bytes })] as const

/** What becomes of one call at one end: in order, once, within its credit. */
class Ledger {
  readonly #state = new Map<string, { unread: number; isBegun: boolean; isOver: boolean }>()

  begin(call: string, size: number, isOver: boolean): void {
    this.arrive(call, size, isOver, true)
  }

  arrive(call: string, size: number, last: boolean, isFirst = false): void {
    const state = this.#of(call)
    assert.ok(!state.isOver && state.isBegun !== isFirst, `${call} gets bytes at the wrong time`)
    state.isBegun = true
    state.unread += size
    state.isOver = last
    assert.ok(state.unread <= WINDOW, `${call} piles up ${state.unread} bytes`)
  }

  end(call: string): void {
    const state = this.#of(call)
    assert.ok(!state.isOver, `${call} ends twice`)
    state.isOver = true
  }

  take(call: string, most: number): number {
    const state = this.#of(call)
    const taken = Math.min(most, state.unread)
    state.unread -= taken
    return taken
  }

  isOver(call: string): boolean {
    return this.#of(call).isOver
  }

  #of(call: string) {
    const state = this.#state.get(call) ?? { unread: 0, isBegun: false, isOver: false }
    this.#state.set(call, state)
    return state
  }
}

type UplinkStep =
  | { readonly do: 'frame'; readonly frame: UplinkCallFrame; readonly payload: number }
  | { readonly do: 'open'; readonly size: number }
  | { readonly do: 'take'; readonly call: string; readonly bytes: number }
  | { readonly do: 'pass'; readonly ms: number }

const uplinkFrame: fc.Arbitrary<UplinkCallFrame> = fc.oneof(
  fc.record({ kind: is('ack'), call }),
  fc.record({ kind: is('head'), call, status: fc.constantFrom(200, 204, 500), headers: fc.constant({}), last }),
  ...common,
  fc.record({ kind: is('fault'), call, reason: is('refused'), message: fc.constant(''), unsent: fc.boolean() }),
  fc.record({ kind: is('goaway') }),
)
const uplinkStep: fc.Arbitrary<UplinkStep> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: is('frame'), frame: uplinkFrame, payload }) },
  { weight: 4, arbitrary: fc.record({ do: is('open'), size: fc.constantFrom(0, 100, 1_000_000) }) },
  { weight: 2, arbitrary: fc.record({ do: is('take'), call, bytes }) },
  { weight: 1, arbitrary: fc.record({ do: is('pass'), ms: fc.constantFrom(10, 3_000) }) },
)

test('a hub bears any uplink: its calls end once, its window holds, and the calls of other uplinks go on', () => {
  let closed = 0
  fc.assert(
    fc.property(fc.array(uplinkStep, { maxLength: 80, size: 'max' }), (steps) => {
      const hub = new HubCalls('mine')
      const ledger = new Ledger()
      /** Calls of the honest link, which its uplink acknowledged. */
      const honest: string[] = []
      let isClosed = false
      let now = 0
      const sent = new Map<string, number>()
      const act = (effects: readonly HubEffect[]) => {
        for (const effect of effects) {
          if (effect.kind === 'close') {
            assert.equal(effect.connection, 'hostile')
            isClosed = true
          } else if (effect.kind === 'send') {
            assert.ok(effect.connection !== 'hostile' || !isClosed, 'sent on a closed link')
            if ('call' in effect.frame) {
              const before = sent.get(effect.frame.call) ?? 0
              sent.set(effect.frame.call, before + effect.payload.length)
            }
          } else if (effect.kind === 'head') ledger.begin(effect.call, effect.bytes.length, effect.last)
          else if (effect.kind === 'piece') ledger.arrive(effect.call, effect.bytes.length, effect.last)
          else if (effect.kind === 'fault') {
            assert.ok(!honest.includes(effect.call), 'a call of another link failed')
            ledger.end(effect.call)
          } else {
            assert.ok(!ledger.isOver(effect.call))
            act(hub.piece(effect.call, new Uint8Array(300_000), false))
          }
        }
      }
      hub.opened('hostile')
      hub.opened('honest')
      for (const step of steps) {
        switch (step.do) {
          case 'frame':
            if (!isClosed && 'call' in step.frame && step.frame.kind === 'credit') {
              const { call, bytes } = step.frame
              sent.set(call, Math.max(0, (sent.get(call) ?? 0) - bytes))
            }
            act(hub.frame('hostile', step.frame, new Uint8Array(step.payload)))
            break
          case 'open': {
            const wanted = { target, method: 'POST', headers: {}, deadlineMs: 60_000, last: step.size === 0 } as const
            const { call, effects } = hub.open({ ...wanted, body: new Uint8Array(step.size) }, now)
            act(effects)
            if (effects.some((one) => one.kind === 'send' && one.connection === 'honest')) {
              honest.push(call)
              act(hub.frame('honest', { kind: 'ack', call }, EMPTY))
            }
            break
          }
          case 'take':
            act(hub.took(step.call, ledger.take(step.call, step.bytes)))
            break
          case 'pass':
            now += step.ms
            act(hub.tick(now))
        }
        for (const [call, outstanding] of sent) assert.ok(outstanding <= WINDOW, `${call} is sent beyond its credit`)
        assert.ok(hub.count() <= 2 * MAX_CALLS)
      }
      act(hub.closed('hostile'))
      assert.equal(hub.count(), honest.filter((call) => !ledger.isOver(call)).length)
      if (isClosed) closed += 1
    }),
    { numRuns: 400 },
  )
  assert.ok(closed > 20, `the hub closed only ${closed} links`)
})

type EdgeStep =
  | { readonly do: 'frame'; readonly frame: EdgeCallFrame; readonly payload: number }
  | { readonly do: 'answer'; readonly call: string; readonly size: number; readonly last: boolean }
  | { readonly do: 'take'; readonly call: string; readonly bytes: number }
  | { readonly do: 'pass'; readonly ms: number }

const edgeFrame: fc.Arbitrary<EdgeCallFrame> = fc.oneof(
  fc.record({
    kind: is('open'),
    call,
    target: fc.constant(target),
    method: is('POST'),
    headers: fc.constant({}),
    deadlineMs: fc.constantFrom(0, 1_000, 60_000),
    last,
  }),
  ...common,
  fc.record({ kind: is('cancel'), call }),
)
const edgeStep: fc.Arbitrary<EdgeStep> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: is('frame'), frame: edgeFrame, payload }) },
  { weight: 3, arbitrary: fc.record({ do: is('answer'), call, size: fc.constantFrom(0, 100, 2_000_000), last }) },
  { weight: 2, arbitrary: fc.record({ do: is('take'), call, bytes }) },
  { weight: 1, arbitrary: fc.record({ do: is('pass'), ms: fc.constantFrom(10, 300, 3_000) }) },
)

test('an uplink bears any edge: it makes no call twice, and ends all of them when it hangs up', () => {
  let closed = 0
  fc.assert(
    fc.property(fc.array(edgeStep, { maxLength: 80, size: 'max' }), (steps) => {
      const uplink = new UplinkCalls()
      const underWay = new Map<string, number>()
      const reading = new Set<string>()
      const sent = new Map<string, number>()
      let isClosed = false
      let now = 0
      const act = (effects: readonly UplinkEffect[]) => {
        for (const effect of effects) {
          if (effect.kind === 'close') isClosed = true
          else if (effect.kind === 'send') {
            assert.ok(!isClosed, 'sent on a closed link')
            const { frame } = effect
            if (!('call' in frame)) continue
            sent.set(frame.call, (sent.get(frame.call) ?? 0) + effect.payload.length)
            if (frame.kind === 'fault' || ('last' in frame && frame.last)) underWay.delete(frame.call)
          } else if (effect.kind === 'open') {
            assert.ok(!underWay.has(effect.call), 'made twice')
            underWay.set(effect.call, effect.bytes.length)
            sent.set(effect.call, 0)
            reading.delete(effect.call)
          } else if (effect.kind === 'piece') {
            const unread = (underWay.get(effect.call) ?? Infinity) + effect.bytes.length
            assert.ok(unread <= WINDOW, 'more than the window piles up')
            underWay.set(effect.call, unread)
          } else if (effect.kind === 'abort') {
            assert.ok(underWay.delete(effect.call), 'aborted what is over')
          } else {
            assert.ok(underWay.has(effect.call), 'reads on for a call that is over')
            reading.add(effect.call)
          }
        }
      }
      for (const step of steps) {
        switch (step.do) {
          case 'frame': {
            const { frame } = step
            if (frame.kind === 'credit' && underWay.has(frame.call)) {
              sent.set(frame.call, Math.max(0, (sent.get(frame.call) ?? 0) - frame.bytes))
            }
            act(uplink.frame(frame, new Uint8Array(step.payload), now))
            break
          }
          case 'answer': {
            const answer = new Uint8Array(step.size)
            if (reading.delete(step.call)) act(uplink.piece(step.call, answer, step.last))
            else act(uplink.head(step.call, 200, {}, answer, step.last))
            break
          }
          case 'take': {
            const unread = underWay.get(step.call)
            if (unread === undefined) break
            const taken = Math.min(unread, step.bytes)
            underWay.set(step.call, unread - taken)
            act(uplink.took(step.call, taken))
            break
          }
          case 'pass':
            now += step.ms
            act(uplink.tick(now))
        }
        for (const [call, outstanding] of sent) assert.ok(outstanding <= WINDOW, `${call} is sent beyond its credit`)
        assert.equal(uplink.count, underWay.size)
      }
      act(uplink.closed())
      assert.equal(underWay.size, 0)
      if (isClosed) closed += 1
    }),
    { numRuns: 400 },
  )
  assert.ok(closed > 20, `the uplink closed only ${closed} links`)
})
