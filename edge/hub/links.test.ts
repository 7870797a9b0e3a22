import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeEdge } from '../../protocol/frame.ts'
import { linkClock } from './lease.ts'
import { type Attached, Links, type LinkSocket, WARN_MS } from './links.ts'

const clock = linkClock(undefined)
const NOW = 1_000_000

/** A socket as the runtime keeps it while the object sleeps. */
class Socket {
  attachment: unknown
  readonly heard: number | undefined
  readonly sent: string[] = []
  closed: number | undefined

  constructor(attached: Partial<Attached> & { id: string }, heard?: number) {
    this.attachment = {
      uid: 'u',
      replica: attached.id,
      thumbprint: 't',
      since: NOW,
      expires: NOW + 600_000,
      version: '1',
      claims: false,
      epoch: 0,
      isWarned: false,
      isDraining: false,
      isClosed: false,
      ...attached,
    }
    this.heard = heard
  }
  serializeAttachment(value: unknown): void {
    this.attachment = structuredClone(value)
  }
  deserializeAttachment(): unknown {
    return structuredClone(this.attachment)
  }
  send(bytes: Uint8Array): void {
    const decoded = decodeEdge(bytes)
    const { frame } = decoded.kind === 'frame' ? decoded : { frame: { kind: decoded.kind } }
    this.sent.push('epoch' in frame ? `${frame.kind} ${frame.epoch}` : frame.kind)
  }
  close(code: number): void {
    this.closed = code
  }
}

/** A hub's links as they are after it woke up. */
function woken(sockets: readonly Socket[], epoch = 0) {
  const kept: number[] = []
  const pinged = (socket: LinkSocket) => (socket instanceof Socket ? socket.heard : undefined)
  const links = new Links({ sockets, pinged, epoch, keep: (newest) => void kept.push(newest) })
  const link = (id: string) => {
    const found = links.get(id)
    assert.ok(found)
    return found
  }
  return { links, link, kept }
}

test('a hub that wakes up knows its links again, the newest last, but for those that it closed itself', () => {
  const { links } = woken([
    new Socket({ id: 'b', since: 2 }),
    new Socket({ id: 'gone', since: 3, isClosed: true }),
    new Socket({ id: 'a', since: 1 }),
  ])
  assert.deepEqual(
    links.all().map(({ attached }) => attached.id),
    ['a', 'b'],
  )
})

test('epochs only grow, also over sleep, and whoever led before is fenced', () => {
  const [a, b] = [new Socket({ id: 'a' }), new Socket({ id: 'b' })]
  const first = woken([a, b], 7)
  assert.equal(first.links.lead(first.link('a')), 8)
  const second = woken([a, b], first.kept.at(-1))
  assert.equal(second.links.leader()?.attached.id, 'a')
  assert.equal(second.links.lead(second.link('b')), 9)
  assert.equal(second.links.leader()?.attached.id, 'b')
  assert.deepEqual(a.sent, ['lead 8', 'fenced 9'])
  assert.deepEqual(b.sent, ['lead 9'])
})

test('the newest of those that say they lead inherits, and nobody while somebody leads', () => {
  const sockets = ['a', 'b', 'c'].map((id, since) => new Socket({ id, since }))
  const { links, link } = woken(sockets)
  links.lead(link('a'))
  links.lead(link('b'))
  assert.equal(links.heir(), undefined)
  links.drop(link('b'))
  assert.equal(links.heir()?.attached.id, 'a')
  links.note(link('a'), { claims: false })
  assert.equal(links.heir(), undefined)
})

test('pings that nobody woke up for count as signs of life', () => {
  const { links, link } = woken([new Socket({ id: 'a', since: NOW }, NOW + 5), new Socket({ id: 'b', since: NOW })])
  assert.equal(links.lastSeen(link('a')), NOW + 5)
  assert.equal(links.lastSeen(link('b')), NOW)
})

for (const [what, attached, due] of [
  ['is heard of', {}, NOW + 90_000],
  ['has been silent for a while', { since: NOW - 30_000 }, NOW + 15_000],
  ['has a credential that ends', { expires: NOW + 50_000 }, NOW + 50_000 - WARN_MS],
  ['was told that its credential ends', { expires: NOW + 50_000, isWarned: true }, NOW + 50_000],
] as const) {
  test(`a link that ${what} is looked at when there is something to see`, () => {
    assert.equal(woken([new Socket({ id: 'a', ...attached })]).links.due(clock, NOW), due)
  })
}

test('without links there is nothing to look at', () => {
  assert.equal(woken([]).links.due(clock, NOW), Number.POSITIVE_INFINITY)
})

test('a link that was dropped is told why, and stays dropped', () => {
  const socket = new Socket({ id: 'a', claims: true })
  const { links, link } = woken([socket])
  links.lead(link('a'))
  links.drop(link('a'), 4403, 'revoked')
  assert.equal(socket.closed, 4403)
  assert.equal(links.size, 0)
  assert.equal(links.leader(), undefined)
  assert.equal(woken([socket]).links.size, 0)
})
