import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readResource } from '../../crds/cluster.ts'
import type { MCPServer } from '../../crds/mcp-server.ts'
import { commandOf, unfit } from './command.ts'

const folder = mkdtempSync(join(tmpdir(), 'waggle-command-'))
after(() => rmSync(folder, { recursive: true }))

function server(spec: object): MCPServer {
  const reading = readResource({
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPServer',
    metadata: { name: 'one', namespace: 'demo' },
    spec: { transport: 'stdio', ...spec },
  })
  assert.ok(reading.ok && reading.resource.kind === 'MCPServer', JSON.stringify(reading))
  return reading.resource
}

function install(name: string, version: string, bin: unknown): string {
  const home = join(folder, 'node_modules', name)
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name, version, bin }))
  return home
}

test('an installed package is run as it is, under the name that npx would choose', () => {
  const home = install('@acme/tool', '1.2.3', { other: 'other.js', tool: 'tool.js' })
  for (const image of ['npx://@acme/tool', 'npx://@acme/tool@1.2.3']) {
    const { file, args, cwd } = commandOf(server({ image, args: ['--x'] }), folder, folder)
    assert.deepEqual([file, args, cwd], [process.execPath, [join(home, 'tool.js'), '--x'], folder])
  }
})

test('a package that is not there, or there in another version, is npx’s to find', () => {
  install('plain', '2.0.0', 'main.js')
  for (const name of ['plain@1.0.0', '@acme/absent', 'absent@latest', 'absent@^1.2.0']) {
    const { file, args } = commandOf(server({ image: `npx://${name}`, args: ['--x'] }), folder, folder)
    assert.deepEqual([file, args], ['npx', ['-y', name, '--x']])
  }
})

test('what cannot run here is refused in words that say what would', () => {
  assert.match(unfit(server({ image: 'ghcr.io/acme/server:1' })) ?? '', /needs a container; .*npx:\/\//u)
  assert.match(unfit(server({ image: 'npx://tool', transport: 'streamable-http' })) ?? '', /MCPRemoteProxy/u)
  for (const name of ['--call=x', '../../etc', '/etc/passwd', '@acme', '@acme/../x', 'a b', 'a@--x', '.hidden'])
    assert.notEqual(unfit(server({ image: `npx://${name}` })), undefined, name)
  assert.equal(unfit(server({ image: 'npx://@modelcontextprotocol/server-memory@2026.1.26' })), undefined)
})

test('variables come from the manifest and, of Secrets, from files; a file that is missing is named', () => {
  const image = 'node://server.js'
  const secrets = [{ name: 'api', key: 'token', targetEnvName: 'TOKEN' }]
  const given = server({ image, env: [{ name: 'A', value: '1' }], secrets })
  const path = join(folder, 'demo', 'api', 'token')
  assert.throws(() => commandOf(given, folder, folder), new RegExp(`key token of api to ${path}`, 'u'))
  mkdirSync(join(folder, 'demo', 'api'), { recursive: true })
  writeFileSync(path, 'sesame\n')
  const { args, env } = commandOf(given, folder, folder)
  assert.deepEqual(args, [join(folder, 'server.js')])
  assert.deepEqual(env, { A: '1', TOKEN: 'sesame' })
  writeFileSync(path, 'a\0b')
  assert.throws(
    () => commandOf(given, folder, folder),
    (error) => !String(error).includes('a\0b'),
  )
})
