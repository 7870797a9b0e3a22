// `waggle serve`: the edge self-hosted, in the foreground: audit events on stdout, everything else on stderr, ends on a signal.

import { readFile } from 'node:fs/promises'
import { parseEnv } from 'node:util'
import { type Command, parse } from '../command.ts'
import { Failure, messageOf, usage } from '../failure.ts'
import type { Io } from '../io.ts'
import { serve as start } from '../serve.ts'

export const serve: Command = {
  summary: 'run the edge on this machine',
  help: `waggle serve [--port N] [--host ADDRESS] [--state FOLDER] [--var NAME=VALUE …] [--env-file FILE]

  --port            default 8787; 0: any free one
  --host            address to listen on (default 127.0.0.1; 0.0.0.0: all)
  --state           folder for keys and stored objects (default .waggle/edge); back it up, it holds the keys to the secrets
  --var             a setting; NAME alone takes it from the environment, so that secrets stay off the command line
  --env-file        settings, one NAME=VALUE a line; --var overrides

Settings:
  PUBLIC_URL        where clients reach this edge (default: the address listened on)
  OIDC_ISSUER       identity provider of endpoints that name none, and of the admin API
  ADMIN_ISSUER      identity provider of the admin API, when it is another
  ALLOWED_HOSTS, ALLOWED_ORIGINS   comma-separated, besides those of PUBLIC_URL
  ALLOW_LOOPBACK    true: servers and issuers may be on this machine
  SEALING_KEYS, VAULT_KEYS         kid:base64url(32 bytes), comma-separated (default: made on first start)
  ASSERTION_KEYS    JSON array of private JWKs, P-256, each with a kid (default: made on first start)
  UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN   store in Upstash Redis`,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      port: { type: 'string' },
      host: { type: 'string' },
      state: { type: 'string' },
      var: { type: 'string', multiple: true },
      'env-file': { type: 'string' },
    })
    if (positionals.length > 0) throw usage(`unexpected ${JSON.stringify(positionals[0])}`)
    const port = Number(values.port ?? 8787)
    if (!Number.isInteger(port) || port < 0 || port > 65_535) throw usage('--port must be a number from 0 to 65535')
    const vars = { ...(await file(values['env-file'])), ...settings(values.var ?? [], io) }
    if (vars['OIDC_ISSUER'] === undefined && vars['ADMIN_ISSUER'] === undefined) {
      io.err('warning: neither OIDC_ISSUER nor ADMIN_ISSUER is set, so nobody can log in to administer this edge')
    }
    const { state: stateDir = '.waggle/edge', host } = values
    if (vars['PUBLIC_URL'] === undefined && host !== undefined && !/^(?:127\.|localhost$|::1$)/.test(host)) {
      io.err('warning: PUBLIC_URL is not set, so only clients on this machine are served')
    }
    const edge = await start({
      port,
      stateDir,
      vars,
      ...(host !== undefined && { host }),
      onLine: (line) => io.out(line),
      onErrorLine: (line) => io.err(line),
    })
    let asked = false
    const stop = (): void => {
      asked = true
      void edge.close()
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop)
    io.err(`the edge is at ${vars['PUBLIC_URL'] ?? edge.url} (state in ${stateDir}, process ${edge.pid})`)
    const what = await edge.ended
    // Ctrl-C reaches workerd as well as us, in either order.
    await new Promise((done) => setTimeout(done, 200))
    if (!asked) throw new Failure(`the edge has ended by itself: ${what}`, 'start it again')
  },
}

async function file(path: string | undefined): Promise<Record<string, string>> {
  if (path === undefined) return {}
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Failure(`cannot read ${path}: ${messageOf(error)}`)
  })
  const found: Record<string, string> = {}
  for (const [name, value] of Object.entries(parseEnv(text))) if (value !== undefined) found[name] = value
  return found
}

function settings(given: readonly string[], { env }: Io): Record<string, string> {
  return Object.fromEntries(
    given.map((each) => {
      const at = each.indexOf('=')
      const name = at < 0 ? each : each.slice(0, at)
      if (!/^[A-Z][A-Z0-9_]*$/.test(name)) throw usage('--var must be NAME=VALUE or NAME', 'names are upper-case')
      const value = at < 0 ? env[name] : each.slice(at + 1)
      if (value === undefined)
        throw new Failure(`${name} is not set in the environment`, `set it, or write --var ${name}=…`)
      return [name, value]
    }),
  )
}
