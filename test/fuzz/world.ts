// What is fuzzed: the real edge on workerd, with servers of both eras and both transports behind it that answer as they
// are told, and one endpoint that nobody touches, to see that it goes on working.

import { readdir } from 'node:fs/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { exchange, openSession } from '../peers/wire.ts'
import { endpoints, pathOf } from './endpoints.ts'
import type { EndpointName } from './endpoints.ts'
import { startPuppet } from './puppet.ts'
import type { Puppet } from './puppet.ts'

export interface World {
  readonly edge: TestEdge
  /** What the placeholders of cases stand for, for each of several principals: each may have so many streams only. */
  readonly principals: readonly Map<string, string>[]
  readonly puppets: readonly Puppet[]
  /** New sessions for the placeholders: cases may have ended the old ones. */
  renew(): Promise<void>
  /** A call that must succeed; returns what is wrong with its answer. */
  check(): Promise<string | undefined>
  /** Open files of workerd, its sockets among them. */
  handles(): Promise<number>
  close(): Promise<void>
}

const PRINCIPALS = 12

/** Deadlines are short, so that a server that says nothing costs little; breakers stay closed, so that all are called. */
const operational = {
  timeouts: { default: '1s' },
  failureHandling: { circuitBreaker: { enabled: true, failureThreshold: 1000, timeout: '1s' } },
}
const prefixed = { conflictResolution: 'prefix', conflictResolutionConfig: { prefixFormat: '' } }

export async function startWorld(): Promise<World> {
  const modern = await startPuppet('modern')
  const legacy = await startPuppet('legacy')
  const old = await startPuppet('sse')
  const calm = await startPuppet('legacy')
  const puppets = [modern, legacy, old, calm]
  const spec = { config: { aggregation: prefixed, operational } }
  const edge = await startEdge({
    resources: [
      entry('one', modern.url),
      entry('two', legacy.url),
      entry('three', old.url, { transport: 'sse' }),
      entry('calm', calm.url),
      virtual('modern', ['one'], spec),
      virtual('sole', ['two'], spec),
      virtual('both', ['one', 'two'], {
        config: {
          operational,
          aggregation: { ...prefixed, conflictResolutionConfig: { prefixFormat: '{workload}_' } },
        },
      }),
      virtual('sse', ['three'], spec),
      virtual('open', ['two'], { ...spec, incomingAuth: { type: 'anonymous' } }),
      virtual('good', ['calm'], spec),
    ],
  }).catch(async (cause: unknown) => {
    for (const puppet of puppets) await puppet.close()
    throw cause
  })
  const host = new URL(edge.url).host
  const principals = Array.from({ length: PRINCIPALS }, () => new Map([['host', host]]))
  const claims = { exp: Math.floor(Date.now() / 1000) + 36_000 }
  const urlOf = (name: EndpointName): string => `${edge.url}${pathOf(name)}`
  const goodToken = await edge.token(edge.endpoint('good'), claims)

  const renew = async (): Promise<void> => {
    for (const [index, values] of principals.entries()) {
      const next = principals[(index + 1) % PRINCIPALS]
      for (const name of endpoints) {
        const token = name === 'open' ? undefined : values.get(`token.${name}`)
        const session = (await openSession(urlOf(name), token)) ?? 'none'
        values.set(`session.${name}`, session)
        next?.set(`stranger.${name}`, session)
      }
    }
  }
  const close = async (): Promise<void> => {
    await edge.close()
    for (const puppet of puppets) await puppet.close()
  }
  try {
    const admin = await edge.issuer.token(`${edge.url}/admin`, { sub: 'root', scope: 'waggle:admin', ...claims })
    for (const [index, values] of principals.entries()) {
      values.set('token.admin', admin)
      for (const name of endpoints)
        values.set(`token.${name}`, await edge.token(urlOf(name), { ...claims, sub: `p${index}` }))
    }
    for (const name of endpoints)
      if (name !== 'mcp') await edge.lists(urlOf(name), [name === 'both' ? 'one_echo' : 'echo'])
    await edge.lists(edge.endpoint('good'), ['echo'])
    await renew()
  } catch (cause) {
    await close()
    throw cause
  }
  return {
    edge,
    principals,
    puppets,
    renew,
    check: async () => {
      const answered = await exchange(edge.endpoint('good'), {
        method: 'tools/call',
        params: { name: 'echo' },
        token: goodToken,
        timeoutMs: 10_000,
      }).catch(String)
      if (typeof answered === 'string') return `a good call fails: ${answered}`
      return answered.body.includes('"text":"puppet"')
        ? undefined
        : `a good call is answered ${answered.status} ${answered.body.slice(0, 300)}`
    },
    handles: async () => (await readdir(`/proc/${edge.pid}/fd`)).length,
    close,
  }
}
