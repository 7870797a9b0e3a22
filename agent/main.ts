// The agent: one program, one image, five roles. Each is loaded only when it is asked for.

import { parseArgs } from 'node:util'

const roles: Readonly<Record<string, (args: readonly string[]) => Promise<(signal: AbortSignal) => Promise<void>>>> = {
  operator: async () => (await import('./operator/main.ts')).run,
  proxy: async () => {
    const { run } = await import('./proxy/main.ts')
    return (signal) => run('proxy', signal)
  },
  vmcp: async () => {
    const { run } = await import('./proxy/main.ts')
    return (signal) => run('vmcp', signal)
  },
  uplink: async () => (await import('./uplink/main.ts')).run,
  local: async (args) => {
    const [{ run }, { localOptions, localSettings }] = await Promise.all([
      import('./local/main.ts'),
      import('./local/settings.ts'),
    ])
    const settings = localSettings(parseArgs({ args: [...args], options: localOptions }).values)
    return (signal) => run(settings, signal)
  },
}

/** Runs the role until SIGTERM or SIGINT; resolves with the exit code. */
async function main([name = '', ...args]: readonly string[]): Promise<number> {
  const load = roles[name]
  if (load === undefined) {
    process.stderr.write(`usage: agent ${Object.keys(roles).join(' | ')}\n`)
    return 2
  }
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort(new Error(signal)))
  try {
    const run = await load(args)
    await run(stop.signal)
    return 0
  } catch (error) {
    process.stderr.write(
      `${JSON.stringify({ level: 'error', message: error instanceof Error ? error.message : 'failed' })}\n`,
    )
    return 1
  }
}

process.exitCode = await main(process.argv.slice(2))
// Nothing may keep a process alive that has said goodbye.
setTimeout(() => process.exit(), 1_000).unref()
