// Credentials of real clusters where they do not belong, and what a cluster may not say: part of link.test.ts, whose scene it plays in.

import { exportJWK, generateKeyPair, importJWK, SignJWT, type JWK } from 'jose'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Identity } from '../../agent/uplink/identity.ts'
import type { AuditEvent } from '../edge.ts'
import { Knocker, type Reply } from '../link/knock.ts'
import { exchange, toolNames } from '../peers/wire.ts'
import { until } from './bed/shell.ts'
import { EDGE_URL } from './edge.ts'
import { exec, pods, startClient } from './pods.ts'
import { SYSTEM } from './release.ts'
import { NAMESPACE, edgeRegistered, manifest, type Scene, type Site, type SiteName } from './scene.ts'
import { handle } from './shared.ts'

interface Play {
  readonly scene: Scene
  /** A token for `endpoint` of somebody who may use everything. */
  readonly ada: string
  readonly endpoint: string
  readonly figures: Record<string, string>
}

const ACCOUNT = 'waggle-agent-uplink'
/** A second is the aim for links, five for lists. Figures are printed; a busy machine may take three times as long. */
const CLOSED_S = 3
const REVOKED_S = 15

const extraOf = (event: AuditEvent) => (event['metadata'] as { extra: Record<string, unknown> }).extra
const targetOf = (event: AuditEvent) => event['target'] as Record<string, string>

/** Registers the tests. The last of them revokes `prod`. */
export function refusals(play: () => Play): void {
  const site = (name: SiteName): Site => play().scene.sites[name]

  /** A token that the API server of a cluster signs for a ServiceAccount, bound to one of its pods where `pod` says so. */
  async function account(
    at: SiteName,
    audience: string,
    who: { namespace?: string; name?: string; pod?: string } = {},
  ) {
    const { namespace = SYSTEM, name = ACCOUNT, pod } = who
    const bound = pod === undefined ? [] : ['--bound-object-kind=Pod', `--bound-object-name=${pod}`]
    const { kubectl } = site(at)
    return (await kubectl(['create', 'token', name, '-n', namespace, `--audience=${audience}`, ...bound])).trim()
  }

  async function uplinkPod(at: SiteName): Promise<{ name: string; uid: string }> {
    const [pod] = await pods(site(at).cluster, SYSTEM, 'app.kubernetes.io/component=uplink')
    return { name: pod?.metadata?.name ?? '', uid: pod?.metadata?.uid ?? '' }
  }

  /** That it was refused, for this reason, which the audit trail holds once. */
  async function refused(reply: Reply, who: Identity, reason: string): Promise<void> {
    assert.deepEqual([reply.reason, reply.status >= 400], [reason, true])
    const about = (): AuditEvent[] =>
      play()
        .scene.edge.audit()
        .filter((event) => extraOf(event)?.['key'] === who.thumbprint && event.outcome === 'denied')
    await until('it to be written down', () => about().length > 0)
    assert.deepEqual(
      about().map((event) => extraOf(event)['reason']),
      [reason],
    )
  }

  test('a token of a ServiceAccount opens one cluster, to the uplink of that cluster, to one key', async () => {
    const pod = await uplinkPod('dev')
    const dev = new Knocker(EDGE_URL, 'dev')
    const audience = `${EDGE_URL}/clusters/dev`
    const good = await account('dev', audience, { pod: pod.name })
    const me = await Identity.generate()
    const reply = await dev.session(me, good, undefined, pod.uid)
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    const other = await uplinkPod('prod')
    await site('dev').kubectl(['create', 'serviceaccount', ACCOUNT, '-n', NAMESPACE])
    const wrong: readonly [token: string, replica: string, reason: string][] = [
      [good, pod.uid, 'token_bound'],
      [await account('prod', audience, { pod: other.name }), other.uid, 'not_admitted'],
      [await account('dev', `${EDGE_URL}/clusters/prod`, { pod: pod.name }), pod.uid, 'wrong_audience'],
      [await account('dev', 'https://kubernetes.default.svc', { pod: pod.name }), pod.uid, 'wrong_audience'],
      [await account('dev', audience, { name: 'waggle-agent' }), pod.uid, 'wrong_subject'],
      [await account('dev', audience, { namespace: NAMESPACE }), pod.uid, 'wrong_subject'],
      [await account('dev', audience, { pod: pod.name }), other.uid, 'wrong_subject'],
    ]
    for (const [token, replica, reason] of wrong) {
      const who = await Identity.generate()
      await refused(await dev.session(who, token, undefined, replica), who, reason)
    }
    // A cluster that joined by a token takes none of a ServiceAccount.
    const stranger = await Identity.generate()
    const token = await account('prod', `${EDGE_URL}/clusters/prod`, { pod: other.name })
    await refused(
      await new Knocker(EDGE_URL, 'prod').session(stranger, token, undefined, other.uid),
      stranger,
      'not_admitted',
    )
  })

  test('a join token that was used is of no use', async () => {
    const secret = await site('prod').kubectl(['get', 'secret', 'waggle-join-token', '-n', SYSTEM, '-o', 'json'])
    const { data } = JSON.parse(secret) as { data: { token: string } }
    const used = Buffer.from(data.token, 'base64').toString().trim()
    const thief = await Identity.generate()
    await refused(await new Knocker(EDGE_URL, 'prod').join(thief, used), thief, 'not_admitted')
    const { edge } = play().scene
    assert.ok(
      edge.lines().every((line) => !line.includes(used)),
      'nor is it in any log',
    )
    // Whoever has joined does not need it either.
    await site('prod').kubectl(['delete', 'secret', 'waggle-join-token', '-n', SYSTEM])
  })

  test('a namespace that a cluster may not publish stays its own', async () => {
    const { ada } = play()
    await site('dev').kubectl(['create', 'namespace', 'team'])
    const server = manifest('MCPServer', 'private', {
      image: 'grafana/mcp-grafana:latest',
      transport: 'streamable-http',
    })
    const foreign = { ...server, metadata: { name: 'private', namespace: 'team' } }
    await site('dev').kubectl(['apply', '-f', '-'], JSON.stringify(foreign))
    const told = () => edgeRegistered(site('dev'), 'mcpserver/private', 'team')
    await until('it to be told', async () => (await told()) === 'False NotAllowed')
    const everything = await play().scene.edge.token(`${EDGE_URL}/mcp`)
    const names = toolNames(await exchange(`${EDGE_URL}/mcp`, { method: 'tools/list', token: everything }))
    assert.ok(
      names.every((name) => !name.includes('private')),
      names.join(),
    )
    assert.equal((await exchange(`${EDGE_URL}/team/private/mcp`, { method: 'tools/list', token: ada })).status, 404)
    await site('dev').kubectl(['delete', 'namespace', 'team', '--wait=false'])
  })

  test('a cluster does not take over the virtual server of another', async () => {
    const url = `${EDGE_URL}/${NAMESPACE}/platform-tools-vmcp/mcp`
    const token = await play().scene.edge.token(url)
    const names = async (): Promise<string[]> =>
      toolNames(await exchange(url, { method: 'tools/list', token })).toSorted()
    const before = await names()
    const backends = [{ name: 'grafana' }]
    await site('prod').apply(manifest('VirtualMCPServer', 'platform-tools-vmcp', { backends, proxyPort: 9090 }))
    const resource = 'virtualmcpserver/platform-tools-vmcp'
    await until('it to be told', async () => (await edgeRegistered(site('prod'), resource)) === 'False Conflict')
    assert.deepEqual(await names(), before)
    assert.equal(await edgeRegistered(site('dev'), resource), 'True Registered')
    await site('prod').kubectl(['delete', '-n', NAMESPACE, resource, '--wait=false'])
  })

  test('an assertion of the edge opens the one server that it names, and no other', async () => {
    const { scene } = play()
    // As a server would have it that keeps what it is shown.
    const kept = JSON.parse(readFileSync(join(scene.edge.folder, 'state/keys.json'), 'utf8')) as {
      ASSERTION_KEYS: string
    }
    const [key] = JSON.parse(kept.ASSERTION_KEYS) as (JWK & { kid: string })[]
    assert.ok(key !== undefined)
    const sign = async (audience: string, seconds = 60, by: JWK = key): Promise<string> =>
      new SignJWT({ use: 'call', sub_id: { format: 'iss_sub', iss: scene.outside.issuer.url, sub: 'ada' } })
        .setProtectedHeader({ alg: 'ES256', typ: 'waggle-assertion+jwt', kid: key.kid })
        .setIssuer('edge')
        .setAudience(audience)
        .setIssuedAt(Math.floor(Date.now() / 1000) + Math.min(0, seconds))
        .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
        .sign(await importJWK(by, 'ES256'))
    const forged = await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey)
    const own = `dev/${NAMESPACE}/MCPServer/grafana`
    // Signed when it is shown: it is good for a minute.
    const expected: readonly [SiteName, server: string, assertion: () => Promise<string>, status: number][] = [
      ['dev', 'grafana', () => sign(own), 200],
      ['dev', 'grafana', () => sign(own, -60), 401],
      ['dev', 'grafana', () => sign(own, 60, forged), 401],
      ['dev', 'github', () => sign(own), 401],
      ['prod', 'grafana', () => sign(own), 401],
      ['prod', 'grafana', () => sign(`prod/${NAMESPACE}/MCPServer/grafana`), 200],
      ['dev', 'grafana', () => sign(`prod/${NAMESPACE}/MCPServer/grafana`), 401],
    ]
    await Promise.all(
      (['dev', 'prod'] as const).map((at) => startClient(handle(site(at).cluster, scene.tools), NAMESPACE)),
    )
    for (const [at, server, assertion, status] of expected) {
      const shared = handle(site(at).cluster, scene.tools)
      const url = `http://mcp-${server}-proxy.${NAMESPACE}:8080/mcp`
      const { out, complaint } = await exec(shared, NAMESPACE, 'client', [
        '/bin/node',
        '-e',
        ASK,
        url,
        await assertion(),
      ])
      assert.equal(out.trim(), String(status), `${server} in ${at}: ${complaint}`)
    }
  })
}

/** The last word: registers the test that revokes `prod`. */
export function revocation(play: () => Play): void {
  test('a cluster that is revoked is cut off at once, and nothing of it is listed', async () => {
    const { scene, ada, endpoint, figures } = play()
    const { edge } = scene
    const from = edge.audit().length
    const since = (method: string): AuditEvent[] =>
      edge
        .audit()
        .slice(from)
        .filter((event) => targetOf(event)['name'] === 'prod' && targetOf(event)['method'] === method)
    await edge.waggle(['cluster', 'revoke', 'prod'])
    const began = performance.now()
    const seconds = (): number => (performance.now() - began) / 1000
    await until('both links to be closed', () => since('link.disconnected').length === 2)
    figures['from the command being done to both links of a revoked cluster closed'] = `${seconds().toFixed(1)} s`
    assert.ok(seconds() < CLOSED_S, 'closed when the command is done')
    for (const event of since('link.disconnected')) assert.equal(extraOf(event)['code'], 4403)
    const clusters = async (): Promise<unknown> => {
      const { answer } = await exchange(endpoint, { method: 'tools/list', token: ada })
      const tools = answer?.result?.['tools'] as { name: string; inputSchema: { properties?: { cluster?: unknown } } }[]
      const [grafana] = tools.filter(({ name }) => name === 'grafana_echo')
      return grafana?.inputSchema.properties?.cluster ?? 'none'
    }
    await until('nothing of it to be listed', async () => (await clusters()) === 'none')
    figures['from the command being done to nothing of a revoked cluster listed'] = `${seconds().toFixed(1)} s`
    assert.ok(seconds() < REVOKED_S, `listed for ${seconds()} s`)
    await until('its uplinks to be refused', () => since('link.session').some((one) => one.outcome === 'denied'))
    assert.ok(since('link.connect').every((one) => one.outcome === 'denied'))
    assert.match(await edge.waggle(['status']), /^prod +revoked /m)
  })
}

/** Asks a server for its tools, and prints the status of the answer. */
const ASK = `
  const [url, assertion] = process.argv.slice(1)
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'thief', version: '1' },
  }
  fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/list',
      'waggle-assertion': assertion,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: meta } }),
    signal: AbortSignal.timeout(30000),
  }).then((response) => console.log(response.status), (error) => console.error(String(error.cause ?? error)))`
