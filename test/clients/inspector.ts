// MCP Inspector's command line as a client: one process per request, its printed result parsed.

import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'

const inspector = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/inspector/package.json'))

/** Runs `inspector --cli <url> --method <method> …`; rejects with what it printed when it fails. */
export async function inspect(
  url: string,
  token: string | undefined,
  era: 'legacy' | 'auto' | 'modern',
  args: readonly string[],
): Promise<unknown> {
  const command = [join(inspector, 'clients/launcher/build/index.js'), '--cli', url, '--transport', 'http']
  if (token !== undefined) command.push('--header', `Authorization: Bearer ${token}`)
  command.push('--protocol-era', era, '--format', 'json', '--quiet', ...args)
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000 })
  const [printed, complained] = await Promise.all([text(child.stdout), text(child.stderr)])
  try {
    return JSON.parse(printed) as unknown
  } catch {
    throw new Error(`Inspector printed no JSON: ${printed}${complained}`)
  }
}
