// Starts the reference server `server-everything` as a child process on loopback, over streamable HTTP or the old SSE transport.
// It ends with `close()`, and by itself when this process is gone.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

export interface Everything {
  /** The MCP endpoint. */
  readonly url: string
  readonly pid: number
  /** Settles when the process has ended, whoever ended it. */
  readonly ended: Promise<void>
  close(): Promise<void>
}

const patience = 15_000

/** Throws an error with code `EADDRINUSE` when the port is taken. Port 0 (the default) takes a free one. */
export async function startEverything(options: {
  transport: 'streamable-http' | 'sse'
  port?: number
}): Promise<Everything> {
  const program = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js')
  const preload = pathToFileURL(fileURLToPath(new URL('loopback.ts', import.meta.url))).href
  const mode = options.transport === 'sse' ? 'sse' : 'streamableHttp'
  const child = spawn(process.execPath, ['--import', preload, program, mode], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { PATH: process.env['PATH'], PORT: String(options.port ?? 0), NODE_ENV: 'production' },
    // A group of its own: Ctrl-C reaches this process first, which then ends the child in its own time.
    detached: true,
  })
  let words = ''
  child.stderr?.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-2000)))
  const ended = once(child, 'exit').then(
    () => undefined,
    () => undefined,
  )

  const stop = async () => {
    if (child.connected) child.disconnect()
    const late = setTimeout(() => signalGroup(child.pid, 'SIGKILL'), 3000)
    await ended
    clearTimeout(late)
  }
  const [message] = (await Promise.race([
    once(child, 'message', { signal: AbortSignal.timeout(patience) }).catch(() => [
      { error: `no answer in ${patience} ms` },
    ]),
    ended.then(() => [{ error: `it ended at once: ${words.trim()}` }]),
  ])) as [{ port: number } | { error: string; code?: string }]
  if ('error' in message) {
    await stop()
    const error = new Error(`server-everything (${options.transport}) did not start: ${message.error}`)
    throw Object.assign(error, { code: message.code })
  }
  const path = options.transport === 'sse' ? '/sse' : '/mcp'
  return { url: `http://127.0.0.1:${message.port}${path}`, pid: child.pid ?? 0, ended, close: stop }
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {
    // Gone already.
  }
}
