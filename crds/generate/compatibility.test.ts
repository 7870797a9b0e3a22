import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from './drift.ts'
import { proofOf, readStatements, stated, type Statement, statedKinds } from './statement.ts'

test('every test that the compatibility page names exists', () => {
  const named = new Set<string>()
  for (const lines of Object.values(readStatements())) {
    for (const statement of Object.values(lines)) {
      const proof = proofOf(statement)
      if (proof !== undefined) named.add(proof)
    }
  }
  for (const proof of named) {
    const [file = '', title = ''] = proof.split(/: (.*)/s)
    assert.ok(existsSync(join(root, file)), `${file} does not exist`)
    const text = readFileSync(join(root, file), 'utf8')
    const quoted = [`'${title}`, `"${title}`, `\`${title}`]
    assert.ok(
      quoted.some((each) => text.includes(each)),
      `${file} has no test whose title begins with "${title}"`,
    )
  }
})

test('nothing is left unsaid, and nothing is said about what is not there', () => {
  const all = readStatements()
  for (const kind of statedKinds(all)) stated(kind, all[kind] ?? {})
  const lines: Record<string, Statement> = { ...all['MCPGroup'] }
  assert.throws(() => stated('MCPGroup', { ...lines, nonsense: { instead: 'because' } }), /nonsense is no field/)
  assert.throws(() => stated('MCPGroup', {}), /nothing is said about spec\.description/)
})
