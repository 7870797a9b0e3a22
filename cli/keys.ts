// The keys of a self-hosted edge, for sealing, for its vault and for assertions: made on first start, kept in keys.json (0600) of its state folder.
// A key that is given from outside is neither replaced nor written down.

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure, codeOf, messageOf } from './failure.ts'

const makers = { SEALING_KEYS: symmetric, VAULT_KEYS: symmetric, ASSERTION_KEYS: signing } as const
const names = Object.keys(makers) as (keyof typeof makers)[]

/** The key settings missing in `vars`, read from or created in `<stateDir>/keys.json`. */
export async function keys(stateDir: string, vars: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const missing = names.filter((name) => vars[name] === undefined)
  if (missing.length === 0) return {}
  const path = join(stateDir, 'keys.json')
  const kept = await read(path)
  const made = missing.filter((name) => kept[name] === undefined)
  for (const name of made) kept[name] = makers[name]()
  if (made.length > 0) await writeFile(path, `${JSON.stringify(kept, null, 2)}\n`, { mode: 0o600 })
  return Object.fromEntries(missing.map((name) => [name, kept[name] ?? '']))
}

function symmetric(): string {
  return `${id()}:${randomBytes(32).toString('base64url')}`
}

function signing(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return JSON.stringify([{ ...privateKey.export({ format: 'jwk' }), kid: id() }])
}

function id(): string {
  return randomBytes(4).toString('hex')
}

async function read(path: string): Promise<Record<string, string>> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return {}
    throw new Failure(`cannot read ${path}: ${messageOf(error)}`, 'make it readable for this user')
  }
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === 'object' && parsed !== null) {
      return Object.fromEntries(
        Object.entries(parsed).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
      )
    }
  } catch {
    // Said below, without the content.
  }
  // Never overwrite it: what it held may be the only key to stored secrets.
  throw new Failure(
    `${path} is not a JSON object`,
    'restore it, or move it away to start with new keys (stored secrets become unreadable)',
  )
}
