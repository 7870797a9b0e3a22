// The documents tell the truth: what they name exists, their examples are accepted, and their tables agree with the code.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { readResource } from '../crds/cluster.ts'
import { edgeKinds } from '../crds/kinds.ts'
import { parseManifest } from '../crds/manifest.ts'
import { wire, type Reason } from '../protocol/fault.ts'

const root = dirname(import.meta.dirname)
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true })
    .filter((name) => String(name).endsWith('.md'))
    .map((name) => `docs/${String(name)}`),
].toSorted()

/** All first groups of a pattern. */
function found(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, group = '']) => group)
}

/** The anchors of a document's headings, as GitHub makes them. */
function anchors(text: string): string[] {
  return found(text, /^#+ (.+)$/gm).map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}

test('README and ARCHITECTURE stay readable in one sitting', () => {
  for (const name of ['README.md', 'ARCHITECTURE.md']) {
    const lines = read(name).trimEnd().split('\n').length
    assert.ok(lines <= 150, `${name} has ${lines} lines; 150 are allowed`)
  }
})

test('every relative link leads to a file, and to a heading of it where it names one', () => {
  for (const document of documents) {
    for (const link of found(read(document), /\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? document : join(dirname(document), path)
      assert.ok(existsSync(join(root, target)), `${document} links to ${link}, which does not exist`)
      if (anchor !== undefined) assert.ok(anchors(read(target)).includes(anchor), `${document}: no heading for ${link}`)
    }
  }
})

test('every file and folder of the project that a document names exists', () => {
  const ours = /`((?:agent|charts|cli|crds|docs|edge|examples|gateway|plan|protocol|scripts|test)\/[\w./-]*)`/g
  for (const document of documents) {
    for (const path of found(read(document), ours))
      assert.ok(existsSync(join(root, path)), `${document} names ${path}, which does not exist`)
  }
  assert.ok(found(read('ARCHITECTURE.md'), ours).length > 50)
})

test('every npm script and test layer that a document names exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const layers = found(read('test/run.ts'), /^ {2}(\w+): \[/gm)
  for (const document of documents) {
    const text = read(document)
    for (const script of [
      ...found(text, /npm run (?:-s )?([a-z]+(?::[a-z]+)?)/g),
      ...found(text, /npm (start|test)\b/g),
    ])
      assert.ok(Object.hasOwn(scripts, script), `${document} names npm run ${script}`)
    for (const layer of found(text, /npm test -- (\w+)/g))
      assert.ok(layers.includes(layer), `${document} names the layer ${layer}; there are ${layers.join(', ')}`)
  }
})

test('every manifest in a document is accepted without a warning', () => {
  let manifests = 0
  for (const document of documents) {
    for (const block of found(read(document), /^```yaml\n([\s\S]*?)^```$/gm)) {
      for (const parsed of parseAllDocuments(block)) {
        assert.deepEqual(parsed.errors, [], document)
        const value: unknown = parsed.toJS()
        // Values of a chart stand beside manifests; other tests render them.
        if (typeof value === 'object' && value !== null && !('kind' in value)) continue
        const result = document === 'docs/cluster.md' ? readResource(value) : parseManifest(value)
        assert.deepEqual(result.ok ? result.warnings : result.problems, [], `${document}:\n${block}`)
        manifests += 1
      }
    }
  }
  assert.ok(manifests >= 3)
})

test('the table of errors has every reason, with the status and code that it has on the wire', () => {
  const reasons = found(read('protocol/fault.ts'), /^ {2}\| '(\w+)'$/gm) as Reason[]
  const rows = [...read('docs/errors.md').matchAll(/^\| `(\w+)` +\| (\d+) +\| (-?\d+) +\|/gm)]
  const documented = new Map(rows.map(([, reason = '', status, code]) => [reason, [Number(status), Number(code)]]))
  assert.ok(reasons.length > 20)
  assert.deepEqual([...documented.keys()].toSorted(), reasons.toSorted())
  for (const reason of reasons) {
    const { status, code } = wire(reason)
    assert.deepEqual(documented.get(reason), [status, code], reason)
  }
})

test('the reference has every setting, kind and annotation', () => {
  const reference = read('docs/configuration.md')
  const settings = found(read('edge/env.ts'), /^ {2}([A-Z_]+)\??: string$/gm)
  const annotations = found(read('crds/annotation.ts'), /'(waggle\.dev\/[a-z-]+)'/g)
  assert.ok(settings.length >= 10 && annotations.length >= 6)
  for (const word of [...settings, ...annotations, ...edgeKinds])
    assert.ok(reference.includes(word), `docs/configuration.md does not name ${word}`)
})

test('the walk of one call names fewer than ten files', () => {
  const [, walk = ''] = /## One `tools\/call`\n([\s\S]*?)\n## /.exec(read('ARCHITECTURE.md')) ?? []
  const steps = found(walk, /^\| \w+ +\| `([\w./-]+\.ts)`/gm)
  assert.ok(steps.length > 5 && steps.length < 10, steps.join(' '))
})

/** The value of a constant in a source file, where it is a product of numbers. */
function constant(path: string, name: string): number {
  const [, text] = new RegExp(`\\bconst ${name} = ([\\d_* ]+)\\n`).exec(read(path)) ?? []
  assert.ok(text !== undefined, `${path} has no number ${name}`)
  return text
    .replaceAll('_', '')
    .split('*')
    .reduce((product, factor) => product * Number(factor), 1)
}

test('the bounds that are documented are those of the code', () => {
  const operations = read('docs/operations.md')
  const mebi = (path: string, name: string) => constant(path, name) / 1024 / 1024
  const count = (path: string, name: string) => constant(path, name).toLocaleString('en-US')
  const [stream, pace] = ['gateway/backend/stream.ts', 'gateway/channel/pace.ts']
  const [servers, subscriptions] = ['gateway/channel/servers.ts', 'gateway/channel/subscriptions.ts']
  const [hub, history, meeting] = ['gateway/channel/hub.ts', 'gateway/channel/history.ts', 'gateway/channel/meeting.ts']
  const shards = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'][
    constant('edge/channel.ts', 'SHARDS')
  ]
  const rows: Readonly<Record<string, string>> = {
    'request body': `${mebi('gateway/body.ts', 'MAX_BODY')} MiB`,
    batch: `${constant('gateway/body.ts', 'MAX_BATCH')} messages, one after the other; once the answers exceed ${mebi('gateway/handle.ts', 'MAX_BATCH_REPLY')} Mi`,
    'one message, or a whole batch, in either direction': `${count('protocol/envelope.ts', 'MAX_VALUES')} JSON values; a list of a server ${count('gateway/backend/connect.ts', 'MAX_LIST_VALUES')}`,
    'URI that is asked for': `${count('gateway/decide.ts', 'MAX_URI')} characters`,
    'message from a server': `${mebi('gateway/backend/upstream.ts', 'MAX_REPLY')} MiB; a page of a list ${mebi('gateway/backend/connect.ts', 'MAX_LIST')} MiB`,
    'catalog of a server': `${mebi('gateway/backend/drain.ts', 'MAX_CHARACTERS')} Mi characters in all; ${count('gateway/backend/drain.ts', 'MAX_ITEMS')} items and ${constant('gateway/backend/drain.ts', 'MAX_PAGES')} pages`,
    'tool with mirrored parameters (`x-mcp-header`)': `${constant('protocol/header.ts', 'MAX_MIRRORED')} of them`,
    'opaque tokens asked about at once': `${constant('gateway/auth/issuer.ts', 'MAX_ASKING')} per issuer`,
    'the same, once its client was asked something': `${constant('gateway/ask.ts', 'PATIENCE_MS') / 60_000} min`,
    'bringing an answer, progress or changed roots to a server': `${constant('gateway/answer.ts', 'SEND_MS') / 1000} s; roots to at most ${constant('gateway/endpoint.ts', 'MAX_SPREAD')} servers`,
    "a server's next connection after a lost one": `${constant(stream, 'DEFAULT_RETRY_MS') / 1000} s, or as it asks, ${constant(stream, 'MIN_RETRY_MS') / 1000} to ${constant(stream, 'MAX_RETRY_MS') / 1000} s, doubling; given up after ${constant(stream, 'MAX_FAILURES')} attempts that find nobody or ${constant(stream, 'MAX_SILENT')} connections without a word`,
    'the rest of a resumed call, while its server still holds the lost connection': `${constant('gateway/call.ts', 'RESUMES')} attempts, ${constant('gateway/call.ts', 'RESUME_MS') / 1000} s apart`,
    'a stream of a client that listens': `${constant(hub, 'MAX_STREAM_MS') / 3_600_000} h, with a comment line every ${constant(hub, 'KEEP_ALIVE_MS') / 1000} s; looked at every ${constant(hub, 'LOOK_MS') / 1000} s, opaque tokens asked about every ${constant(hub, 'RECHECK_MS') / 1000} s`,
    "the first call of a session at a legacy server, for that server's own stream": `${constant('gateway/channel/watch.ts', 'ATTACH_MS') / 1000} s`,
    'questions of a legacy server to its client': `${constant('gateway/ask.ts', 'MAX_QUESTIONS')} in a call, and ${constant('gateway/ask.ts', 'MAX_QUESTIONS')} a minute outside of calls; more are declined. After ${count('gateway/converse.ts', 'MAX_REQUESTS')} requests`,
    'questions of a modern server to a legacy client': `${constant('gateway/bridge.ts', 'MAX_ROUNDS')} rounds of ${constant('gateway/bridge.ts', 'MAX_REQUESTS')}`,
    'answer of a client to a question': `${mebi('gateway/answer.ts', 'MAX_ANSWER')} Mi characters; its progress ${count('gateway/answer.ts', 'MAX_PROGRESS')}`,
    'answers that wait for their calls': `${count(meeting, 'MAX_KEPT')} and ${mebi(meeting, 'MAX_CHARACTERS')} Mi characters in each of the ${shards} objects, for ${constant(meeting, 'KEEP_MS') / 1000} s`,
    'capabilities that a client declares to be asked by': `${count('gateway/session.ts', 'MAX_CAPABILITIES')} characters`,
    'streams of clients that listen': `${count(hub, 'MAX_STREAMS')} in each of the ${shards} objects; ${constant(hub, 'MAX_STREAMS_OF_ONE')} of one caller in each`,
    'unread events of a client that listens': `${constant('gateway/channel/outlet.ts', 'HIGH_WATER') / 1024} KiB`,
    'events kept for a session that comes back': `${constant(history, 'MAX_EVENTS')}, and ${constant(history, 'MAX_CHARACTERS') / 1024} Ki characters, for ${constant(hub, 'LINGER_MS') / 1000} s`,
    'all that one of the eight objects holds for clients that listen, unread or to come back for': `${mebi(hub, 'MAX_HELD')} MiB`,
    'resources that a session or a stream hears of': `${constant(subscriptions, 'MAX_URIS')}, and ${constant(subscriptions, 'MAX_URI_CHARACTERS') / 1024} Ki characters of URIs`,
    'resources that one stream of a modern server is about': count(servers, 'MAX_SHARED_URIS'),
    'what a server says outside of calls': `${constant(pace, 'MAX_MESSAGES')} messages and ${mebi(pace, 'MAX_CHARACTERS')} Mi characters a second, more has to wait; what exceeds ${constant(servers, 'MAX_PUSHED') / 1024} Ki characters`,
    'servers listened to for one client': `${constant(servers, 'MAX_WATCHES_OF_ONE')}`,
    'event id of a server': `${count('protocol/sse.ts', 'MAX_ID')} characters; sealed, with its call, ${count('gateway/resume.ts', 'MAX_SEALED')}`,
    'question / event id of a call': `${constant('gateway/ask.ts', 'TTL_MS') / 60_000} min / ${constant('gateway/resume.ts', 'TTL_MS') / 60_000} min`,
    'a whole call': `${constant('gateway/deadline.ts', 'MAX_CALL_MS') / 60_000} min`,
    'an answer turns into an event stream after': `${constant('gateway/deadline.ts', 'SLOW_MS') / 1000} s, with a comment line every ${constant('gateway/reply.ts', 'KEEP_ALIVE_MS') / 1000} s`,
  }
  for (const [what, bound] of Object.entries(rows)) {
    const line = operations.split('\n').find((one) => one.startsWith(`| ${what} `))
    assert.ok(line?.includes(`| ${bound}`), `docs/operations.md, "${what}": the code has ${bound}`)
  }
  const protocol = read('docs/protocol.md')
  const phrases = [
    `${constant('gateway/bridge.ts', 'MAX_ROUNDS')} rounds of ${constant('gateway/bridge.ts', 'MAX_REQUESTS')} questions`,
    `becomes ${constant('gateway/ask.ts', 'PATIENCE_MS') / 60_000} min; the whole call still ends after ${constant('gateway/deadline.ts', 'MAX_CALL_MS') / 60_000} min`,
    `for ${constant('gateway/resume.ts', 'TTL_MS') / 60_000} min `,
    `${constant(history, 'MAX_EVENTS')} events or ${constant(history, 'MAX_CHARACTERS') / 1024} Ki characters, up to ${constant(hub, 'LINGER_MS') / 1000} s`,
    `checked every ${constant(hub, 'LOOK_MS') / 1000} s`,
    `subscribe to ${constant(subscriptions, 'MAX_URIS')} resources`,
    `between ${constant(stream, 'MIN_RETRY_MS') / 1000} and ${constant(stream, 'MAX_RETRY_MS') / 1000} s`,
    `after ${constant(stream, 'MAX_FAILURES')} attempts in a row that find nobody, or ${constant(stream, 'MAX_SILENT')} connections`,
  ]
  for (const phrase of phrases) assert.ok(protocol.includes(phrase), `docs/protocol.md: the code has "${phrase}"`)
})
