// Runs the edge self-hosted: the built Worker on workerd, its keys and state in one folder that one process owns.
// Used by `waggle serve`, the examples and the tests; prints nothing itself.

import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { bundle } from './bundle.ts'
import { address } from './capnp.ts'
import { claim } from './claim.ts'
import { Failure, codeOf, messageOf } from './failure.ts'
import { keys } from './keys.ts'
import { PortTaken, type Running, start } from './workerd.ts'

export interface ServeOptions {
  /** 0, the default: any free port. */
  port?: number
  /** Address to listen on, default 127.0.0.1. */
  host?: string
  /** Folder for keys, configuration and stored objects; made when missing. */
  stateDir: string
  /** Text bindings, see edge/env.ts. PUBLIC_URL defaults to the address listened on, keys to those in `stateDir`. */
  vars: Record<string, string>
  /** Gets each line that the Worker writes to stdout. */
  onLine?: (line: string) => void
  /** Gets each line of stderr; default: this process's stderr. */
  onErrorLine?: (line: string) => void
  /** Folder of a built Worker to run instead of the edge: `worker.js` and `worker.json`, see bundle.ts. */
  worker?: string
}

export interface Served {
  /** Where it listens, without a trailing slash. */
  url: string
  /** Process id of workerd. */
  pid: number
  /** Resolves when workerd has ended, for whatever reason, with what to say about it. */
  ended: Promise<string>
  /** Ends workerd: SIGTERM, after 5 s SIGKILL. */
  close(): Promise<void>
}

/** Starts the edge and waits until it answers. Throws a `Failure` that says what is wrong and what to do. */
export async function serve(options: ServeOptions): Promise<Served> {
  const stateDir = resolve(options.stateDir)
  const host = options.host ?? '127.0.0.1'
  const worker = options.worker ?? (await bundle())
  await mkdir(join(stateDir, 'objects'), { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new Failure(
      `cannot write to the state folder ${stateDir}: ${messageOf(error)}`,
      'choose another with --state',
    )
  })
  const held = await claim(stateDir)
  let running: Running
  let url: string
  try {
    const secrets = await keys(stateDir, options.vars)
    for (let attempt = 0; ; attempt++) {
      const port = options.port || (await freePort(host))
      url = `http://${address(reachable(host), port)}`
      // Lines on stdout belong to no request here, so those of a busy moment may share a write.
      const vars = { PUBLIC_URL: url, AUDIT_BATCH_MS: '20', ...options.vars, ...secrets }
      const { onLine = () => {}, onErrorLine = (line: string) => process.stderr.write(`${line}\n`) } = options
      try {
        running = await start({ worker, stateDir, host, port, url, vars, onLine, onErrorLine })
        break
      } catch (error) {
        // Between choosing a free port and listening on it somebody else may take it.
        if (!(error instanceof PortTaken) || options.port === port || attempt > 4) throw error
      }
    }
    await held.assign(running.pid)
  } catch (error) {
    await held.release()
    throw error
  }
  const ended = running.ended.then(async (what) => {
    await held.release()
    return what
  })
  return {
    url,
    pid: running.pid,
    ended,
    close: async () => {
      await running.stop()
      await ended
    },
  }
}

function reachable(host: string): string {
  return host === '0.0.0.0' || host === '*' ? '127.0.0.1' : host === '::' ? '::1' : host
}

async function freePort(host: string): Promise<number> {
  const server = createServer()
  const port = await new Promise<number>((done, reject) => {
    server.once('error', reject)
    server.listen(0, host === '*' ? undefined : host, () => {
      const bound = server.address()
      done(typeof bound === 'object' && bound !== null ? bound.port : 0)
    })
  }).catch((error: unknown) => {
    throw new Failure(
      `cannot listen on ${host}: ${codeOf(error) ?? messageOf(error)}`,
      'choose an address of this machine with --host',
    )
  })
  await new Promise<void>((done) => server.close(() => done()))
  return port
}
