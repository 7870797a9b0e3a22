// The agent's program holds what Dockerfile.agent copies and nothing else, and starts without what only some roles need.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { bundleProgram } from './bundle.ts'

const root = dirname(import.meta.dirname)
let folder: string
let sources: readonly string[]

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'waggle-bundle-'))
  sources = await bundleProgram(join(import.meta.dirname, 'main.ts'), folder)
})
after(() => rm(folder, { recursive: true }))

test('every source of the program is in a folder that Dockerfile.agent copies, or in a dependency that is installed there', async () => {
  const dockerfile = await readFile(join(root, 'Dockerfile.agent'), 'utf8')
  const copied = [...dockerfile.matchAll(/^COPY (\w+) \1$/gm)].map(([, name = '']) => name)
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>
  }
  const foreign = new Set(
    sources.flatMap((source) => {
      const [top = ''] = source.split('/')
      const at = source.indexOf('node_modules/')
      if (at === -1) return copied.includes(top) ? [] : [source]
      const path = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(source.slice(at))?.[0] ?? ''
      return packages[path] === undefined || packages[path].dev === true ? [path] : []
    }),
  )
  assert.ok(sources.length > 100)
  assert.deepEqual([...foreign], [])
})

test('the program runs where no dependency is installed', () => {
  const ask = (): string =>
    execFileSync(process.execPath, [join(folder, 'main.js'), 'nobody'], { stdio: 'pipe', cwd: '/' }).toString()
  assert.throws(ask, /usage: agent operator/)
})

test('the client for kubeconfig files is a part of its own, which no other part loads', async () => {
  const parts = await readdir(join(folder, 'parts'))
  const texts = new Map(
    await Promise.all(parts.map(async (name) => [name, await readFile(join(folder, 'parts', name), 'utf8')] as const)),
  )
  const heavy = [...texts].filter(([, text]) => text.includes('AdmissionregistrationV1Api')).map(([name]) => name)
  assert.ok(heavy.length > 0)
  for (const [name, text] of texts)
    for (const [, part = ''] of text.matchAll(/^import[^;]*?["']\.\/([^"']+)["']/gm))
      assert.ok(!heavy.includes(part) || heavy.includes(name), `${name} loads ${part} at once`)
})
