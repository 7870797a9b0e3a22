// A proxy or a virtual server as a process of its own, with a run config in a file, as its pod would have it.

import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Role } from '../../agent/proxy/main.ts'
import { printRunConfig, RUN_CONFIG, type RunConfig } from '../../agent/run-config.ts'
import type { AuditEvent } from '../../protocol/audit.ts'
import { exchange, toolNames } from '../peers/wire.ts'

const agent = fileURLToPath(new URL('../../agent/main.ts', import.meta.url))

export interface ProxyOptions {
  readonly role?: Role
  readonly config: RunConfig
  /** `<Secret>/<key>` → value. */
  readonly secrets?: Readonly<Record<string, string>>
  readonly signing?: SigningPair
  readonly env?: Readonly<Record<string, string>>
  /** Default: the agent from source. */
  readonly program?: string
  /** How long it may take to become ready; 15 s when not given. */
  readonly readyMs?: number
}

export interface TestProxy {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** The endpoint: `<url>/mcp`. */
  readonly mcp: string
  readonly internal: string
  readonly pid: number
  /** Gives it another configuration and waits until it is taken up, or refused. */
  configure(config: RunConfig | string): Promise<void>
  secret(path: string, value: string): Promise<void>
  /** Audit events so far, oldest first. */
  audit(): AuditEvent[]
  /** Waits (30 s) for an audit event. */
  audited(match: (event: AuditEvent) => boolean): Promise<AuditEvent>
  /** Everything printed. */
  lines(): readonly string[]
  /** Waits (60 s) until it lists these tools, among others. Returns all names listed. */
  lists(tools: readonly string[], token?: string): Promise<string[]>
  /** Sends SIGTERM; resolves with the exit code. */
  end(): Promise<number | null>
  close(): Promise<void>
}

/** Starts the program on free loopback ports and waits until it is ready. */
export async function startProxy(options: ProxyOptions): Promise<TestProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'waggle-proxy-'))
  const file = join(folder, 'config', RUN_CONFIG)
  /** Whole at once: nobody reads half of it. */
  const put = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(join(folder, 'next'), text)
    await rename(join(folder, 'next'), path)
  }
  await put(file, printRunConfig(options.config))
  for (const [path, value] of Object.entries(options.secrets ?? {})) await put(join(folder, 'secrets', path), value)
  if (options.signing !== undefined)
    await put(join(folder, 'keys', 'signing.jwk'), JSON.stringify(options.signing.privateJwk))
  const child = spawn(process.execPath, [options.program ?? agent, options.role ?? 'proxy'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      WAGGLE_CONFIG_FOLDER: join(folder, 'config'),
      WAGGLE_SECRETS_FOLDER: join(folder, 'secrets'),
      WAGGLE_KEYS_FOLDER: join(folder, 'keys'),
      WAGGLE_LISTEN_ADDRESS: '127.0.0.1',
      WAGGLE_INTERNAL_PORT: '0',
      WAGGLE_GRACE_SECONDS: '0',
      ...options.env,
    },
  })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => void lines.push(line))
  // When everything that it printed is there, too.
  const exited = once(child, 'close').then(([code]) => code as number | null)
  const close = async (): Promise<void> => {
    if (child.exitCode === null) child.kill('SIGKILL')
    await exited
    await rm(folder, { recursive: true, force: true })
  }
  const logged = async (match: (entry: Record<string, unknown>) => boolean, from = 0) => {
    for (const deadline = Date.now() + 60_000; ; await sleep(20)) {
      const found = lines.slice(from).flatMap(parse).find(match)
      if (found !== undefined) return found
      if (Date.now() > deadline || child.exitCode !== null) throw new Error(`not logged:\n${lines.join('\n')}`)
    }
  }
  try {
    const listening = async (name: string) =>
      `http://127.0.0.1:${Number((await logged((one) => one['msg'] === 'listening' && one['name'] === name))['port'])}`
    const internal = await listening('internal')
    const url = await listening('public')
    const proxy: TestProxy = {
      url,
      mcp: `${url}/mcp`,
      internal,
      pid: child.pid ?? 0,
      configure: async (config) => {
        const from = lines.length
        await put(file, typeof config === 'string' ? config : printRunConfig(config))
        await logged(({ msg }) => msg === 'run_config_applied' || msg === 'run_config_refused', from)
      },
      secret: (path, value) => put(join(folder, 'secrets', path), value),
      audit: () => events(lines),
      audited: async (match) => {
        for (const deadline = Date.now() + 30_000; ; await sleep(20)) {
          const found = events(lines).find((event) => match(event))
          if (found !== undefined) return found
          if (Date.now() > deadline) throw new Error(`no such audit event among:\n${lines.slice(-20).join('\n')}`)
        }
      },
      lines: () => lines,
      lists: async (tools, token) => {
        for (const deadline = Date.now() + 60_000; ; await sleep(50)) {
          const list = await exchange(`${url}/mcp`, { method: 'tools/list', token })
          const names = toolNames(list)
          if (list.answer?.result !== undefined && tools.every((tool) => names.includes(tool))) return names
          if (Date.now() > deadline)
            throw new Error(`${tools.join(', ')} not among ${names.join(', ')}: ${list.status}\n${lines.join('\n')}`)
        }
      },
      end: () => {
        child.kill('SIGTERM')
        return exited
      },
      close,
    }
    await ready(proxy, options.readyMs)
    return proxy
  } catch (error) {
    await close()
    throw error
  }
}

async function ready({ internal }: TestProxy, withinMs = 60_000): Promise<void> {
  for (const deadline = Date.now() + withinMs; ; await sleep(20)) {
    const response = await fetch(`${internal}/readyz`)
    const reason = await response.text()
    if (response.ok) return
    if (Date.now() > deadline) throw new Error(`not ready: ${reason}`)
  }
}

function parse(line: string): Record<string, unknown>[] {
  try {
    return [JSON.parse(line) as Record<string, unknown>]
  } catch {
    return []
  }
}

/** The audit events among what was printed. */
function events(lines: readonly string[]): AuditEvent[] {
  return lines.filter((line) => line.includes('"audit_event"')).map((line) => JSON.parse(line) as AuditEvent)
}

/** A key as the operator makes it: what the virtual server signs with, and what its members trust. */
export interface SigningPair {
  readonly privateJwk: JWK
  readonly publicJwk: JWK
}

export async function signingPair(kid = 'k1'): Promise<SigningPair> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const common = { kid, alg: 'ES256' }
  return {
    privateJwk: { ...(await exportJWK(privateKey)), ...common },
    publicJwk: { ...(await exportJWK(publicKey)), ...common },
  }
}
