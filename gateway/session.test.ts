import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../protocol/fault.ts'
import type { Principal } from './principal.ts'
import { caller } from './sample.ts'
import { Sealer } from './seal.ts'
import { ClientSessions } from './session.ts'
import { MemoryStore } from './store/memory.ts'

const HOUR = 3_600_000
const sealer = new Sealer([{ kid: 'a', key: new Uint8Array(32) }])
const alice = caller()
const inside = { id: 'random', revision: '2025-11-25', client: { name: 'c', version: '1' }, capabilities: {} }

function isolates() {
  let time = 1_800_000_000_000
  const clock = () => time
  const store = new MemoryStore(clock)
  const pass = (ms: number) => {
    time += ms
  }
  return { here: new ClientSessions(sealer, store, clock), there: new ClientSessions(sealer, store, clock), pass }
}

const gone = (detail: string) => (error: unknown) =>
  error instanceof Fault && error.reason === 'session_not_found' && error.detail === `session: ${detail}`

test('a session opens in every isolate for its caller at its endpoint', async () => {
  const { here, there } = isolates()
  const id = await here.create(inside, alice, 'ns/a')
  assert.match(id, /^[\x21-\x7e]+$/u)
  for (const sessions of [here, there, here]) {
    const { id: name, revision, client, capabilities } = await sessions.open(id, alice, 'ns/a')
    assert.deepEqual({ id: name, revision, client, capabilities }, inside)
  }
})

test('to anybody else, anywhere else and later it does not exist', async () => {
  const { here, pass } = isolates()
  const id = await here.create(inside, alice, 'ns/a')
  const other = (more: Partial<Principal>) => caller([], more)
  const bob = other({ id: 'https://idp bob', subject: 'bob' })
  const namesake = other({ id: 'https://other alice', issuer: 'https://other' })
  for (let round = 0; round < 2; round += 1) {
    await assert.rejects(here.open(id, bob, 'ns/a'), gone('another principal'))
    await assert.rejects(here.open(id, namesake, 'ns/a'), gone('another principal'))
    await assert.rejects(here.open(id, alice, 'ns/b'), gone('another endpoint'))
    await here.open(id, alice, 'ns/a')
  }
  pass(24 * HOUR - 1)
  await here.open(id, alice, 'ns/a')
  pass(1)
  await assert.rejects(here.open(id, alice, 'ns/a'), gone('expired'))
})

test('what is not a session of ours does not exist', async () => {
  const { here } = isolates()
  const cursor = await sealer.seal('cursor', { ...inside, principal: alice.id, endpoint: 'ns/a', expires: Infinity })
  for (const text of ['', 'random', cursor])
    await assert.rejects(here.open(text, alice, 'ns/a'), gone('not sealed by this edge'))
})

test('a session that has ended stays ended, elsewhere within half a minute', async () => {
  const { here, there, pass } = isolates()
  const id = await here.create(inside, alice, 'ns/a')
  const session = await here.open(id, alice, 'ns/a')
  await there.open(id, alice, 'ns/a')
  await here.end(session)
  await assert.rejects(here.open(id, alice, 'ns/a'), gone('ended'))
  pass(30_000)
  await assert.rejects(there.open(id, alice, 'ns/a'), gone('ended'))
})
