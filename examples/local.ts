// `agent local` beside the demo: servers over stdio that join the edge as a cluster does, by a join token, over the link.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { leash } from '../agent/local/leash.ts'

const agent = fileURLToPath(new URL('../agent/main.ts', import.meta.url))
const manifests = fileURLToPath(new URL('local/servers.yaml', import.meta.url))
const CLUSTER = 'local'
const END_MS = 6_000

export interface Local {
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<void>
  close(): Promise<void>
}

/** Joins the edge at `url` as the cluster `local`; `admin` makes an admin request with a JSON body. */
export async function startLocal(
  url: string,
  stateDir: string,
  admin: (method: string, path: string, body: object) => Promise<unknown>,
  onLine: (line: string) => void,
): Promise<Local> {
  const home = resolve(stateDir, 'local')
  const folder = join(home, 'manifests')
  for (const made of [folder, join(home, 'files')]) mkdirSync(made, { recursive: true, mode: 0o700 })
  const note = join(home, 'files', 'welcome.txt')
  if (!existsSync(note))
    writeFileSync(note, 'A call came here through the edge, over the link, to a process on this machine.\n')
  writeFileSync(join(folder, 'servers.yaml'), (await readFile(manifests, 'utf8')).replaceAll('/srv/demo', home))
  const token = join(home, 'join-token')
  await admin('PUT', `/admin/v1/clusters/${CLUSTER}`, {
    method: 'join-token',
    allow: { namespaces: ['demo'], kinds: ['MCPServer'], virtualServers: [] },
  })
  const minted = (await admin('POST', `/admin/v1/clusters/${CLUSTER}/token`, { seconds: 600 })) as { token: string }
  writeFileSync(token, minted.token, { mode: 0o600 })
  const args = ['local', '-f', folder, '--edge', url, '--cluster', CLUSTER, '--join-token-file', token, '--state', home]
  const child = spawn(process.execPath, [agent, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const unleash = child.pid === undefined ? () => undefined : leash(child.pid)
  child.stderr.setEncoding('utf8').on('data', onLine)
  const ending = async (): Promise<void> => {
    await once(child, 'exit')
    unleash()
    rmSync(token, { force: true })
  }
  const ended = ending()
  return {
    ended,
    close: async () => {
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), END_MS)
      await ended
      clearTimeout(late)
    },
  }
}
