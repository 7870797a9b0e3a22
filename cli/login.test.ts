// Logins at a real OpenID provider: in a browser (scripted), on a device, renewed, given back.

import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type IdpOptions, startIdp } from '../examples/idp.ts'
import { approveDevice, clickThrough } from '../examples/login.ts'
import { type ScriptedEdge, type Terminal, scriptedEdge, terminal } from './scripted-edge.ts'

interface Stage {
  shell: Terminal
  edge: ScriptedEdge
  /** The stored login. */
  login: () => Promise<{ accessToken: string; refreshToken?: string; expiresAt: number }>
  change: (login: object) => Promise<void>
}

/** `accepts` says which tokens the edge takes; the resource it names is its own unless told otherwise. */
async function stage(t: TestContext, accepts: (token: string) => boolean, idp: IdpOptions = {}): Promise<Stage> {
  const provider = await startIdp(idp)
  t.after(() => provider.close())
  const edge = await scriptedEdge(t, ({ path, authorization }, { url }) => {
    if (path === '/.well-known/oauth-protected-resource/admin') {
      return {
        body: {
          resource: `${url}/admin`,
          authorization_servers: [provider.issuer],
          scopes_supported: ['waggle:admin'],
        },
      }
    }
    return accepts(authorization?.slice(7) ?? '') ? { body: { items: [] } } : { status: 401, body: {} }
  })
  const shell = await terminal(t)
  const file = join(shell.env['XDG_CONFIG_HOME'] ?? '', 'waggle', 'credentials.json')
  const read = async () =>
    JSON.parse(await readFile(file, 'utf8')) as { edges: Record<string, { accessToken: string; expiresAt: number }> }
  return {
    shell,
    edge,
    login: async () => {
      assert.equal((await stat(file)).mode & 0o777, 0o600)
      const found = (await read()).edges[edge.url]
      assert.ok(found)
      return found
    },
    change: async (login) => {
      const all = await read()
      Object.assign(all.edges[edge.url] ?? {}, login)
      await writeFile(file, JSON.stringify(all))
    },
  }
}

/** Clicks a demo user and calls the program back, as a browser would. */
function person(user: string): { open: (url: string) => void; pages: Promise<number>[] } {
  const pages: Promise<number>[] = []
  const visit = async (url: string): Promise<number> => (await fetch(await clickThrough(url, user))).status
  return { open: (url) => void pages.push(visit(url)), pages }
}

function claims(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
}

test('a login in the browser yields a token for this edge only, renewed before it ends', async (t) => {
  const { shell, edge, login, change } = await stage(t, () => true)
  const { open, pages } = person('ada')
  shell.open = open
  assert.equal(await shell.run(['login', '--edge', `${edge.url}/`]), 0, shell.err.join('\n'))
  assert.deepEqual(await Promise.all(pages), [200])
  assert.deepEqual(shell.out, [`Logged in at ${edge.url}.`])
  const first = await login()
  assert.equal(claims(first.accessToken)['aud'], `${edge.url}/admin`)
  assert.equal(claims(first.accessToken)['sub'], 'ada')
  assert.match(String(claims(first.accessToken)['scope']), /waggle:admin/)
  assert.equal([...shell.out, ...shell.err].join('\n').includes(first.accessToken), false)

  // The edge is remembered, and the token used as it is while it lives.
  assert.equal(await shell.run(['get']), 0)
  assert.equal(edge.asked.at(-1)?.authorization, `Bearer ${first.accessToken}`)

  await change({ expiresAt: Date.now() + 30_000 })
  assert.equal(await shell.run(['get']), 0, shell.err.join('\n'))
  const second = await login()
  assert.notEqual(second.accessToken, first.accessToken)
  assert.equal(claims(second.accessToken)['aud'], `${edge.url}/admin`)
  assert.equal(edge.asked.at(-1)?.authorization, `Bearer ${second.accessToken}`)

  assert.equal(await shell.run(['logout']), 0, shell.err.join('\n'))
  await assert.rejects(login())
  assert.equal(await shell.run(['get', '--edge', edge.url]), 1)
  assert.match(shell.err.join('\n'), /not logged in/)
})

test('a token that the edge refuses is renewed once, and then the person is asked', async (t) => {
  const refused = new Set<string>()
  let all = false
  const { shell, edge, login } = await stage(t, (token) => !all && !refused.has(token))
  shell.open = person('ada').open
  assert.equal(await shell.run(['login', '--edge', edge.url]), 0)
  const { accessToken } = await login()
  refused.add(accessToken)
  assert.equal(await shell.run(['get']), 0, shell.err.join('\n'))
  assert.notEqual((await login()).accessToken, accessToken)
  all = true
  assert.equal(await shell.run(['get']), 1)
  assert.match(shell.err.join('\n'), /does not accept the token\n.*waggle login --edge/)
})

test('a login on another device waits until it is confirmed', async (t) => {
  const { shell, edge, login } = await stage(t, () => true)
  const running = shell.run(['login', '--edge', edge.url, '--device'])
  let page: string | undefined
  while (page === undefined) {
    await new Promise((done) => setTimeout(done, 50))
    page = shell.err.find((line) => line.includes('http'))?.trim()
  }
  await approveDevice(page, 'ada')
  assert.equal(await running, 0, shell.err.join('\n'))
  assert.equal(claims((await login()).accessToken)['aud'], `${edge.url}/admin`)
})

test('a provider that refuses the edge, and an unknown issuer, are said as they are', async (t) => {
  const { shell, edge } = await stage(t, () => true, { audiences: () => false })
  shell.open = person('ada').open
  assert.equal(await shell.run(['login', '--edge', edge.url]), 1)
  assert.match(shell.err.join('\n'), /invalid_target/)

  const lost = await scriptedEdge(t, (_, { url }) => ({
    body: { resource: `${url}/admin`, authorization_servers: ['http://127.0.0.1:1'] },
  }))
  assert.equal(await shell.run(['login', '--edge', lost.url]), 1)
  assert.match(shell.err.join('\n'), /the identity provider http:\/\/127.0.0.1:1 cannot be used/)
})

test('metadata that names another resource is refused, so its tokens go to no other edge', async (t) => {
  const { shell } = await stage(t, () => true)
  const imposter = await scriptedEdge(t, () => ({
    body: { resource: 'https://bank.example/admin', authorization_servers: ['https://idp.example'] },
  }))
  assert.equal(await shell.run(['login', '--edge', imposter.url]), 1)
  assert.match(shell.err.join('\n'), /does not say where to log in/)
  const nobody = await scriptedEdge(t, () => undefined)
  assert.equal(await shell.run(['login', '--edge', nobody.url]), 1)
  assert.match(shell.err.join('\n'), /HTTP 404/)
})

test('a callback without the state of this login is turned away and ends nothing', async (t) => {
  const { shell, edge } = await stage(t, () => true)
  const statuses: number[] = []
  const visit = async (url: string): Promise<void> => {
    const back = new URL(new URL(url).searchParams.get('redirect_uri') ?? '')
    back.search = 'code=stolen&state=guessed'
    statuses.push((await fetch(back)).status)
    statuses.push((await fetch(await clickThrough(url, 'ada'))).status)
  }
  shell.open = (url) => void visit(url)
  assert.equal(await shell.run(['login', '--edge', edge.url]), 0, shell.err.join('\n'))
  assert.deepEqual(statuses, [404, 200])
})
