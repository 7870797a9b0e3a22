import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { HttpDoors, type Door } from '../../agent/uplink/door.ts'
import { Identity } from '../../agent/uplink/identity.ts'
import type { Report } from '../../agent/uplink/publisher.ts'
import { Sessions } from '../../agent/uplink/session.ts'
import type { Offer } from '../../agent/uplink/snapshot.ts'
import type { Published } from '../../plan/trim.ts'
import { Uplink } from '../../agent/uplink/uplink.ts'
import { readResource } from '../../crds/cluster.ts'
import { bodyDigest, type Snapshot } from '../../protocol/snapshot.ts'
import { WINDOW } from '../../protocol/link.ts'
import { startHub, type HubLink, type ScriptedHub } from './scripted-hub.ts'
import { unwatched } from './watch.ts'

const TARGET = { kind: 'MCPServer', namespace: 'team', name: 'a' }

interface Rig {
  readonly hub: ScriptedHub
  readonly uplink: Uplink
  readonly offers: Offer[]
  readonly reports: Report[]
  readonly lost: string[]
  /** How often it said that it is linked. */
  readonly linked: () => number
  /** Ends the uplink as a signal would; resolves when it has. */
  readonly end: () => Promise<void>
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void
const cleanups: (() => Promise<unknown>)[] = []
/** An uplink that ends waits for its calls for as long as they take: pings, sessions and this. */
const UNHURRIED = [undefined, undefined, 30_000] as const

afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean()
})

async function proxy(handler: Handler): Promise<string> {
  const server: Server = createServer(handler)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  cleanups.push(async () => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
}

async function rig(handler?: Handler, pingMs?: number, sessionMs?: number, leaveMs = 2_000): Promise<Rig> {
  const hub = await startHub(sessionMs)
  cleanups.push(() => hub.close())
  const doors = new HttpDoors()
  cleanups.push(() => doors.close())
  const there: Door | undefined = handler && doors.door(await proxy(handler))
  const nowhere = doors.door('http://127.0.0.1:9/mcp')
  const offers: Offer[] = []
  const reports: Report[] = []
  const lost: string[] = []
  let linked = 0
  const identity = await Identity.generate()
  const host = { edge: hub.url, cluster: 'c', replica: 'pod-1', fetch, now: Date.now }
  const uplink = new Uplink({
    fleet: {
      offers: () => offers,
      door: ({ kind, namespace, name }) => {
        if (kind !== 'MCPServer' || namespace !== 'team') return undefined
        return name === 'a' ? there : name === 'down' ? nowhere : undefined
      },
    },
    sessions: new Sessions(host, identity),
    replica: 'pod-1',
    version: '0.1.0',
    ca: undefined,
    watch: {
      ...unwatched,
      linked: () => void (linked += 1),
      lost: (reason) => lost.push(reason),
      registered: (report) => reports.push(report),
      failed: (what, error) => assert.fail(`${what}: ${String(error)}`),
    },
    pacing: { random: () => 0.5, ...(pingMs !== undefined && { pingMs }) },
  })
  const stop = new AbortController()
  const running = uplink.run(stop.signal, leaveMs)
  const end = async (): Promise<void> => {
    stop.abort()
    await running
  }
  cleanups.push(end)
  return { hub, uplink, offers, reports, lost, linked: () => linked, end }
}

function offer(name: string, catalog?: string): Offer {
  const reading = readResource({
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPServer',
    metadata: { name, namespace: 'team' },
    spec: { image: 'img' },
  })
  assert.ok(reading.ok)
  return { resource: reading.resource as Published, uid: `uid-${name}`, catalog }
}

async function snapshotOf(link: HubLink): Promise<{ seq: number; epoch: number; names: string[]; snapshot: Snapshot }> {
  const { frame, text } = await link.text('snapshot')
  assert.ok(frame.kind === 'snapshot')
  const snapshot = JSON.parse(text) as Snapshot
  return { seq: frame.seq, epoch: frame.epoch, names: snapshot.items.map(({ name }) => name), snapshot }
}

test('an uplink says who it is, with its credential and a proof of its key', async () => {
  const { hub } = await rig()
  const link = await hub.link(0)
  const { frame } = await link.next('hello')
  assert.deepEqual(frame, { kind: 'hello', replica: 'pod-1', version: '0.1.0', isLeader: false })
  assert.equal(link.headers['authorization'], 'Bearer session-1')
  assert.equal(typeof link.headers['waggle-proof'], 'string')
  assert.equal(link.socket.protocol, 'waggle.link.v1')
})

test('only who leads publishes: the snapshot, then the bodies that are wanted, and changes together', async () => {
  const { hub, uplink, offers, reports } = await rig()
  offers.push(offer('a', '{"tools":[]}'), offer('b'))
  const link = await hub.link(0)
  uplink.changed()
  await sleep(400)
  assert.deepEqual(
    link.heard.map(({ frame }) => frame.kind),
    ['hello'],
  )
  uplink.lead(true)
  assert.equal((await link.next('leading')).frame.isLeader, true)
  link.say({ kind: 'lead', epoch: 7 })
  const first = await snapshotOf(link)
  assert.deepEqual([first.epoch, first.seq, first.names], [7, 1, ['a', 'b']])

  const [a] = first.snapshot.items
  assert.ok(a !== undefined)
  link.say({ kind: 'want', seq: 1, digests: [a.digest, 'unknown'] })
  const { text } = await link.text('body', (frame) => frame.kind === 'body' && frame.digest === a.digest)
  assert.equal(await bodyDigest(new Uint8Array(Buffer.from(text))), a.digest)

  // Nothing goes out before the edge has answered, and then the last state only.
  for (const name of ['c', 'd', 'e']) {
    offers.push(offer(name))
    uplink.changed()
    await sleep(20)
  }
  await sleep(400)
  assert.equal(link.heard.length, 1)
  link.say({ kind: 'registered', seq: 1, dropped: [{ key: 'MCPServer/team/b', reason: 'not_allowed', message: 'no' }] })
  const second = await snapshotOf(link)
  assert.deepEqual([second.seq, second.names], [2, ['a', 'b', 'c', 'd', 'e']])
  assert.equal(reports[0]?.uids.size, 2)
  assert.equal(reports[0].dropped.get('MCPServer/team/b')?.reason, 'not_allowed')

  // Refused or not: what is the same is not sent again.
  link.say({ kind: 'registered', seq: 2, dropped: [{ key: 'MCPServer/team/c', reason: 'invalid', message: 'no' }] })
  uplink.changed()
  await sleep(400)
  assert.deepEqual(
    link.heard.map(({ frame }) => frame.kind),
    ['hello'],
  )
})

test('who is fenced publishes nothing until it leads again, and then everything', async () => {
  const { hub, uplink, offers } = await rig()
  offers.push(offer('a'))
  uplink.lead(true)
  const link = await hub.link(0)
  link.say({ kind: 'lead', epoch: 1 })
  assert.equal((await snapshotOf(link)).epoch, 1)
  link.say({ kind: 'registered', seq: 1, dropped: [] })
  link.say({ kind: 'fenced', epoch: 2 })
  await sleep(50)
  offers.push(offer('b'))
  uplink.changed()
  await sleep(400)
  assert.equal(
    link.heard.some(({ frame }) => frame.kind === 'snapshot'),
    false,
  )
  link.say({ kind: 'lead', epoch: 3 })
  const again = await snapshotOf(link)
  assert.deepEqual([again.epoch, again.seq, again.names], [3, 1, ['a', 'b']])
})

test('a call is one exchange with the proxy: what is not meant for the other side is left out', async () => {
  let seen: Record<string, unknown> = {}
  const { hub } = await rig((request, response) => {
    seen = request.headers
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      const headers = {
        'content-type': 'application/json',
        'mcp-session-id': 's1',
        'set-cookie': 'a=b',
        'www-authenticate': 'Bearer resource_metadata="http://inside"',
        'x-more': '1',
      }
      response.writeHead(200, headers).end(`{"got":${text}}`)
    })
  })
  const link = await hub.link(0)
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-method': 'tools/call',
    'waggle-assertion': 'abc',
    'waggle-request-id': 'r1',
    traceparent: '00-1-2-01',
    authorization: 'Bearer user',
    cookie: 'c=d',
    host: 'elsewhere',
    'x-forwarded-for': '1.2.3.4',
    connection: 'close',
  }
  const answer = await link.answer(link.open(TARGET, { headers, body: '{"a":1}' }))
  assert.deepEqual(
    { status: answer.status, body: answer.body, frames: answer.frames },
    { status: 200, body: '{"got":{"a":1}}', frames: 1 },
  )
  assert.deepEqual(
    Object.keys(answer.headers).sort(),
    ['content-length', 'content-type', 'mcp-session-id'].filter((name) => name in answer.headers),
  )
  assert.equal(answer.headers['mcp-session-id'], 's1')
  assert.equal(seen['waggle-assertion'], 'abc')
  assert.equal(seen['mcp-method'], 'tools/call')
  for (const name of ['authorization', 'cookie', 'x-forwarded-for']) assert.equal(name in seen, false, name)
  assert.notEqual(seen['host'], 'elsewhere')
})

test('what cannot be called is told apart from what broke', async () => {
  let breakOff = (): void => undefined
  const { hub } = await rig((request, response) => {
    if (request.method === 'GET') return void request.socket.destroy()
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: 1\n\n')
    breakOff = () => void request.socket.destroy()
  })
  const link = await hub.link(0)
  const fault = async (call: string) => {
    const { frame } = await link.next('fault', (one) => one.call === call)
    return [frame.reason, frame.unsent]
  }
  assert.deepEqual(await fault(link.open({ ...TARGET, name: 'secret' })), ['unknown_target', true])
  assert.deepEqual(await fault(link.open({ kind: 'Secret', namespace: 'kube-system', name: 'a' })), [
    'unknown_target',
    true,
  ])
  assert.deepEqual(await fault(link.open({ ...TARGET, name: 'down' })), ['unreachable', true])
  assert.deepEqual(await fault(link.open(TARGET, { method: 'GET' })), ['lost', false])
  const broken = link.open(TARGET)
  assert.equal((await link.next('head', (one) => one.call === broken)).frame.last, false)
  breakOff()
  assert.deepEqual(await fault(broken), ['lost', false])
})

test('an answer that streams arrives as it is written, and a cancel reaches the proxy', async () => {
  const left = Promise.withResolvers<void>()
  const { hub } = await rig((request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: 1\n\n')
    setTimeout(() => response.write('data: 2\n\n'), 100)
    request.socket.on('close', () => left.resolve())
  })
  const link = await hub.link(0)
  const call = link.open(TARGET)
  await link.next('head', (one) => one.call === call)
  let text = ''
  while (!text.includes('data: 2')) text += (await link.next('data', (one) => one.call === call)).payload.toString()
  assert.equal(text, 'data: 1\n\ndata: 2\n\n')
  link.say({ kind: 'cancel', call })
  await left.promise
})

test('a reader who does not read costs one window, and the rest arrives when it does', async () => {
  const SIZE = 20 * 1024 * 1024
  let written = 0
  const { hub } = await rig((request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': SIZE })
    const piece = Buffer.alloc(64 * 1024, 'x')
    const write = (): void => {
      while (written < SIZE) {
        written += piece.length
        if (!response.write(piece)) return void response.once('drain', write)
      }
      response.end()
    }
    write()
  })
  const link = await hub.link(0)
  const call = link.open(TARGET, { body: '{}' })
  await sleep(500)
  const got = link.heard.reduce((sum, { payload }) => sum + payload.length, 0)
  assert.ok(got <= WINDOW, `${got} bytes without credit`)
  assert.ok(written < SIZE, 'the proxy is held up')
  // Others are not held up.
  const other = link.open({ ...TARGET, name: 'nobody' })
  await link.next('fault', (one) => one.call === other)
  const { body } = await link.answer(call)
  assert.equal(body.length, SIZE)
})

test('a request in pieces reaches the proxy as they come, with credit for what it took', async () => {
  let size = 0
  const { hub } = await rig((request, response) => {
    request.on('data', (chunk: Buffer) => (size += chunk.length))
    request.on('end', () => response.writeHead(202).end())
  })
  const link = await hub.link(0)
  const call = link.open(TARGET, { body: undefined })
  const piece = Buffer.alloc(128 * 1024, 'y')
  let credit = WINDOW
  for (let sent = 0; sent < 24; sent += 1) {
    while (credit < piece.length) credit += (await link.next('credit', (one) => one.call === call)).frame.bytes
    credit -= piece.length
    link.say({ kind: 'data', call, last: sent === 23 }, piece)
  }
  assert.equal((await link.answer(call)).status, 202)
  assert.equal(size, 24 * piece.length)
})

test('a connection that is lost comes back, and refusals are not hurried', async () => {
  const { hub, lost } = await rig()
  const first = await hub.link(0)
  await first.next('hello')
  hub.refuse = { status: 429, retryAfter: 1 }
  first.socket.terminate()
  for (const until = performance.now() + 30_000; hub.refused.length < 3; await sleep(50))
    assert.ok(performance.now() < until, `${hub.refused.length} attempts`)
  for (const [nth, at] of hub.refused.entries()) {
    const before = hub.refused[nth - 1] ?? Number.NEGATIVE_INFINITY
    assert.ok(at - before >= 1_000, `${at - before} ms between two attempts`)
  }
  hub.refuse = undefined
  const second = await hub.link(1)
  assert.equal((await second.next('hello')).frame.replica, 'pod-1')
  assert.ok(lost.length >= 2)
})

test('who does not answer pings is left for a connection that does', async () => {
  const { hub } = await rig(undefined, 100)
  const first = await hub.link(0)
  while (first.pings < 3) await sleep(20)
  first.answersPings = false
  const second = await hub.link(1)
  await second.next('hello')
  assert.ok(first.pings >= 5)
})

test('an edge that ends is left in order: the next connection first, and calls end on the old one', async () => {
  let finish = (): void => undefined
  const { hub } = await rig((_request, response) => {
    finish = () => response.writeHead(200, { 'content-type': 'application/json' }).end('"late"')
  })
  const first = await hub.link(0)
  const call = first.open(TARGET, { body: '{}' })
  await first.next('ack', (one) => one.call === call)
  first.say({ kind: 'goaway', retryAfterMs: 0 })
  const second = await hub.link(1)
  await second.next('hello')
  await first.next('goaway')
  assert.equal(first.socket.readyState, 1)
  const refused = first.open(TARGET, { body: '{}' })
  const { frame } = await first.next('fault', (one) => one.call === refused)
  assert.equal(frame.unsent, true)
  finish()
  assert.equal((await first.answer(call)).body, '"late"')
  assert.equal((await first.closed).code, 1000)
  assert.equal(second.socket.readyState, 1)
})

test('an edge that shares no version any more counts as none, and what it has still carries calls', async () => {
  const { hub, lost, linked } = await rig((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('"done"')
  })
  const first = await hub.link(0)
  await first.next('hello')
  hub.dismiss = 4406
  first.say({ kind: 'goaway', retryAfterMs: 0 })
  await (
    await hub.link(1)
  ).closed
  assert.equal((await first.answer(first.open(TARGET, { body: '{}' }))).body, '"done"')
  assert.ok(first.heard.every(({ frame }) => frame.kind !== 'goaway'))
  assert.equal(linked(), 1)
  first.socket.terminate()
  await (
    await hub.link(2)
  ).closed
  for (const until = performance.now() + 30_000; lost.length === 0 && performance.now() < until;) await sleep(20)
  assert.match(lost.at(-1) ?? '', /4406 not you/)
  assert.equal(linked(), 1, 'whoever is dismissed was never linked')
})

test('an uplink that ends answers what is under way, and takes nothing new', async () => {
  let finish = (): void => undefined
  const { hub, end } = await rig(
    (_request, response) => {
      finish = () => response.writeHead(200, { 'content-type': 'application/json' }).end('"late"')
    },
    ...UNHURRIED,
  )
  const link = await hub.link(0)
  const call = link.open(TARGET, { body: '{}' })
  await link.next('ack', (one) => one.call === call)
  const ended = end()
  await link.next('goaway')
  const refused = link.open(TARGET, { body: '{}' })
  assert.equal((await link.next('fault', (one) => one.call === refused)).frame.unsent, true)
  finish()
  assert.equal((await link.answer(call)).body, '"late"')
  await ended
  await sleep(700)
  assert.equal(hub.links.length, 1)
})

test('a session is renewed for its connection before it ends', async () => {
  const { hub } = await rig((_request, response) => response.end(), undefined, 9_000)
  await hub.link(0)
  for (const until = performance.now() + 30_000; hub.sessions.length < 2 && performance.now() < until;) await sleep(50)
  assert.deepEqual(hub.sessions, [
    { cluster: 'c', replica: 'pod-1' },
    { cluster: 'c', replica: 'pod-1', connection: 'conn-1' },
  ])
  assert.equal(hub.links.length, 1)
})

test('frames that make no sense end the connection, and nothing else', async () => {
  const { hub } = await rig()
  const link = await hub.link(0)
  link.socket.send('hello?', { binary: false })
  assert.equal((await link.closed).code, 4400)
  const next = await hub.link(1)
  next.socket.send(Buffer.from('no newline'), { binary: true })
  assert.equal((await next.closed).code, 4400)
})
