// The role `uplink` as a whole, between an API server that the test plays and a real edge.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../../agent/uplink/main.ts'
import { startEdge, type TestEdge } from '../edge.ts'
import { manifest, virtual, type Manifest } from '../peers/manifests.ts'
import { Objects } from './objects.ts'
import { freePort } from '../port.ts'

const PLURALS: Readonly<Record<string, string>> = {
  MCPServer: 'toolhive.stacklok.dev/v1beta1/namespaces/test/mcpservers',
  VirtualMCPServer: 'toolhive.stacklok.dev/v1beta1/namespaces/test/virtualmcpservers',
  ToolPolicy: 'waggle.dev/v1alpha1/namespaces/test/toolpolicies',
}
const HOME = '/api/v1/namespaces/waggle-system'
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/waggle-system/leases/waggle-agent-uplink'

const path = (kind: string, name: string) => `/apis/${PLURALS[kind] ?? ''}/${name}`
const server = (name: string, annotations?: Record<string, string>) =>
  manifest('MCPServer', name, { image: 'example.com/x:1', transport: 'streamable-http' }, annotations)

async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 60_000): Promise<void> {
  for (const end = performance.now() + withinMs; !(await holds()); await sleep(50))
    assert.ok(performance.now() < end, `not within ${withinMs} ms: ${what}`)
}

describe('the role uplink', () => {
  let edge: TestEdge
  let objects: Objects
  let folder: string
  let ending: (() => Promise<void>) | undefined
  let pages: { health: number; metrics: number }

  const apply = (one: Manifest): void => objects.put(path(one.kind, one.metadata.name), { ...one })
  const condition = (kind: string, name: string) => objects.condition(path(kind, name), 'EdgeRegistered')

  async function start(): Promise<void> {
    const stop = new AbortController()
    const running = run(
      stop.signal,
      {
        POD_NAMESPACE: 'waggle-system',
        POD_NAME: 'uplink-0',
        POD_UID: 'pod-0',
        WAGGLE_CLUSTER: 'alpha',
        WAGGLE_EDGE_URL: edge.url,
        WAGGLE_JOIN_TOKEN_FILE: join(folder, 'token'),
        WAGGLE_UPLINK_LEASE: 'waggle-agent-uplink',
        WAGGLE_UPLINK_SECRET: 'waggle-agent-uplink',
        WAGGLE_UPLINK_KEYS_CONFIGMAP: 'waggle-agent-uplink-keys',
        WAGGLE_HEALTH_PORT: String(pages.health),
        WAGGLE_METRICS_PORT: String(pages.metrics),
        WAGGLE_GRACE_SECONDS: '1',
      },
      objects.server.access,
    )
    ending = async () => {
      ending = undefined
      stop.abort()
      await running
    }
    running.catch(() => undefined)
  }

  before(async () => {
    edge = await startEdge()
    pages = { health: await freePort(), metrics: await freePort() }
    folder = await mkdtemp(join(tmpdir(), 'waggle-uplink-'))
    const entry = { method: 'join-token', allow: { namespaces: ['test'] } }
    assert.ok((await edge.admin('PUT', '/admin/v1/clusters/alpha', entry)).ok)
    const { token } = (await (await edge.admin('POST', '/admin/v1/clusters/alpha/token', {})).json()) as {
      token: string
    }
    await writeFile(join(folder, 'token'), token)
    objects = await Objects.start()
    const home = (name: string) => ({ name, namespace: 'waggle-system' })
    objects.put(`${HOME}/secrets/waggle-agent-uplink`, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: home('waggle-agent-uplink'),
    })
    objects.put(`${HOME}/configmaps/waggle-agent-uplink-keys`, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: home('waggle-agent-uplink-keys'),
    })
    objects.put(LEASE, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: home('waggle-agent-uplink'),
      spec: {},
    })
    apply(server('a'))
    apply(server('private', { 'waggle.dev/publish': 'false' }))
    apply(virtual('tools', ['a']))
    apply({
      ...manifest('MCPServer', 'elsewhere', {}),
      spec: { image: 'x' },
      metadata: { name: 'elsewhere', namespace: 'test' },
    })
    objects.put('/apis/toolhive.stacklok.dev/v1beta1/namespaces/other/mcpservers/foreign', {
      ...server('foreign'),
      metadata: { name: 'foreign', namespace: 'other' },
    })
    await start()
  })
  after(async () => {
    await ending?.()
    objects?.close()
    await edge?.close()
    await rm(folder, { recursive: true, force: true })
  })

  test('joins with a key of its own, which the proxies of the cluster are told', async () => {
    await until('a is registered', () => condition('MCPServer', 'a')?.status === 'True')
    const kept = objects.get(`${HOME}/secrets/waggle-agent-uplink`)?.data?.['identity.jwk'] ?? ''
    const { x, d } = JSON.parse(Buffer.from(kept, 'base64').toString()) as { x: string; d: string }
    assert.equal(typeof d, 'string')
    const told = objects.get(`${HOME}/configmaps/waggle-agent-uplink-keys`)?.data?.['signing.json'] ?? ''
    const { keys } = JSON.parse(told) as { keys: Record<string, unknown>[] }
    assert.deepEqual(
      keys.map((key) => [key['x'], key['alg'], key['d']]),
      [[x, 'ES256', undefined]],
    )
  })

  test('says of every resource what the edge knows of it', async () => {
    const own = [
      ['MCPServer', 'a'],
      ['MCPServer', 'private'],
      ['VirtualMCPServer', 'tools'],
    ] as const
    await until('all are judged', () => own.every(([kind, name]) => condition(kind, name) !== undefined))
    const verdict = (kind: string, name: string) => {
      const { status, reason } = condition(kind, name) ?? {}
      return [status, reason]
    }
    assert.deepEqual(verdict('MCPServer', 'a'), ['True', 'Registered'])
    assert.deepEqual(verdict('VirtualMCPServer', 'tools'), ['True', 'Registered'])
    assert.deepEqual(verdict('MCPServer', 'private'), ['False', 'NotPublished'])
    const foreign = '/apis/toolhive.stacklok.dev/v1beta1/namespaces/other/mcpservers/foreign'
    await until('the foreign one is judged', () => objects.condition(foreign, 'EdgeRegistered') !== undefined)
    assert.equal(objects.condition(foreign, 'EdgeRegistered')?.reason, 'NotAllowed')
  })

  test('writes nothing more when nothing changes, and its own condition only', async () => {
    const rest = async (): Promise<number> => {
      for (let known = -1; known !== objects.patched.length; await sleep(1_500)) known = objects.patched.length
      return objects.patched.length
    }
    const before = await rest()
    const ready = {
      type: 'Ready',
      status: 'True',
      reason: 'Ready',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    }
    const at = objects.get(path('MCPServer', 'a'))
    assert.ok(at !== undefined)
    const { conditions } = at.status as { conditions: object[] }
    Object.assign(at, { status: { conditions: [...conditions, ready] } })
    apply(server('a'))
    await until('its new generation is judged', () => objects.patched.length > before)
    // The generation that it is about is a new one.
    assert.equal((await rest()) - before, 1)
    assert.equal(objects.condition(path('MCPServer', 'a'), 'Ready')?.reason, 'Ready')
    assert.equal(condition('MCPServer', 'a')?.observedGeneration, 2)
  })

  test('keeps back what a policy is about that cannot be read, and tells of it again when it can', async () => {
    const policy = (rules: unknown) =>
      objects.put(path('ToolPolicy', 'limits'), {
        apiVersion: 'waggle.dev/v1alpha1',
        kind: 'ToolPolicy',
        metadata: { name: 'limits', namespace: 'test' },
        spec: { targetRef: { kind: 'MCPServer', name: 'a' }, rules },
      })
    policy([{ tools: ['*'], grups: ['ops'] }])
    await until('a is kept back', () => condition('MCPServer', 'a')?.reason === 'NotPublished')
    policy([{ tools: ['*'], groups: ['ops'] }])
    await until('a is told of', () => condition('MCPServer', 'a')?.reason === 'Registered')
    await until('the policy is', () => condition('ToolPolicy', 'limits')?.reason === 'Registered')
  })

  test('what is deleted is gone at the edge at once', async () => {
    // It changes with everything that is registered.
    const version = async () => {
      const status = (await (await edge.admin('GET', '/admin/v1/status')).json()) as {
        clusters: { hub?: { version?: string } }[]
      }
      return status.clusters[0]?.hub?.version
    }
    const before = await version()
    assert.equal(typeof before, 'string')
    objects.remove(path('MCPServer', 'elsewhere'))
    const began = performance.now()
    await until('it is gone', async () => (await version()) !== before, 10_000)
    console.log(`what is deleted is gone at the edge after ${Math.round(performance.now() - began)} ms`)
  })

  test('is ready, and counts what it does', async () => {
    const page = async (port: number, at: string) => fetch(`http://127.0.0.1:${port}${at}`)
    assert.equal((await page(pages.health, '/readyz')).status, 200)
    assert.equal((await page(pages.health, '/livez')).status, 200)
    const text = await (await page(pages.metrics, '/metrics')).text()
    assert.match(text, /^waggle_uplink_links 1$/mu)
    assert.match(text, /^waggle_leader 1$/mu)
    assert.match(text, /^waggle_uplink_snapshot_seq [1-9]/mu)
    assert.match(text, /^waggle_uplink_dropped\{reason="not_allowed"\} 1$/mu)
  })

  test('comes back with the same key, and what it publishes is known already', async () => {
    const secret = objects.get(`${HOME}/secrets/waggle-agent-uplink`)?.data?.['identity.jwk']
    await ending?.()
    // The token was good for one time, and is not needed any more.
    await rm(join(folder, 'token'))
    await start()
    apply(server('late'))
    await until('late is registered', () => condition('MCPServer', 'late')?.status === 'True')
    assert.equal(objects.get(`${HOME}/secrets/waggle-agent-uplink`)?.data?.['identity.jwk'], secret)
  })
})
