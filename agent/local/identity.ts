// The key of this place, by which the edge knows it: made once, kept in a file that only its owner may read.

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Identity } from '../uplink/identity.ts'

/** Throws an Error that says which file is wrong, never what is in it. */
export async function keepIdentity(state: string): Promise<Identity> {
  const path = join(state, 'identity.jwk')
  await mkdir(state, { recursive: true, mode: 0o700 })
  const kept = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new Error(`cannot read ${path}: ${error.code}`)
  })
  if (kept === undefined) {
    const identity = await Identity.generate()
    await writeFile(path, JSON.stringify(identity.export()), { mode: 0o600, flag: 'wx' })
    return identity
  }
  try {
    return await Identity.import(JSON.parse(kept) as Parameters<typeof Identity.import>[0])
  } catch {
    throw new Error(`${path} is no private key; remove it, and join again with a new token`)
  }
}
