import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { readFolder } from './folder.ts'

const folders: string[] = []
afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true })))

function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'waggle-folder-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

const server = `apiVersion: toolhive.stacklok.dev/v1beta1
kind: MCPServer
metadata:
  name: one
spec:
  image: npx://tool
  transport: stdio
`
const policy = `apiVersion: waggle.dev/v1alpha1
kind: ToolPolicy
metadata:
  name: rights
spec:
  targetRef:
    kind: MCPServer
    name: one
  rules:
    - tools: ['*']
      groups: [engineers]
`

async function problems(files: Readonly<Record<string, string>>): Promise<string> {
  const reading = await readFolder(folderOf(files))
  return reading.ok ? '' : reading.problems.join('\n')
}

test('reads the manifests of the folder itself, and nothing else', async () => {
  const folder = folderOf({ 'a.yaml': `${server}---\n${policy}`, 'notes.txt': 'x', 'b.yml': '# nothing yet\n' })
  mkdirSync(join(folder, 'node_modules'))
  writeFileSync(join(folder, 'node_modules', 'x.yaml'), '{')
  const reading = await readFolder(folder)
  assert.ok(reading.ok)
  assert.deepEqual(
    [...reading.resources.values()].map(({ kind, metadata }) => [kind, metadata.namespace]),
    [
      ['MCPServer', 'default'],
      ['ToolPolicy', 'default'],
    ],
  )
})

test('a policy that cannot be read takes the whole folder with it: its server must not stand open', async () => {
  const files = { 'a.yaml': server, 'b.yaml': policy.replace('groups: [engineers]', 'gruops: [engineers]') }
  assert.match(await problems(files), /^b\.yaml:\d+: .*gruops/u)
  assert.match(await problems({ 'a.yaml': server, 'b.yaml': 'a: [' }), /^b\.yaml:1: /u)
})

test('says file, line and field of what is wrong', async () => {
  assert.match(
    await problems({ 'a.yaml': server.replace('stdio', 'carrier-pigeon') }),
    /^a\.yaml:7: spec\.transport: /u,
  )
  assert.match(await problems({ 'a.yaml': server, 'b.yaml': server }), /^b\.yaml:1: .*twice/u)
  assert.match(
    await problems({ 'a.yaml': server.replace('npx://tool', 'nginx') }),
    /^a\.yaml:\d: spec\.image: nginx needs a container/u,
  )
  const entry = `apiVersion: toolhive.stacklok.dev/v1beta1
kind: MCPServerEntry
metadata: { name: e }
spec: { remoteUrl: https://example.com/mcp, transport: streamable-http }
`
  assert.match(await problems({ 'a.yaml': entry }), /use an MCPRemoteProxy/u)
  assert.match(await problems({}), /no manifest/u)
  const reading = await readFolder('/nowhere/at/all')
  assert.ok(!reading.ok && /ENOENT/u.test(reading.problems[0] ?? ''))
})
