// `waggle secret`: values go to the edge and never come back. They are read from stdin, a prompt or files; never printed.

import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { connect } from '../admin.ts'
import { type Command, nameOf, namespaceOf, namespaceOptions, parse } from '../command.ts'
import { Failure, codeOf, messageOf, usage } from '../failure.ts'
import type { Io } from '../io.ts'
import { ask } from '../prompt.ts'
import { table } from '../table.ts'

const Summary = z.object({ namespace: z.string(), name: z.string(), keys: z.array(z.string()) })
const List = z.object({ items: z.array(Summary) })

export const secret: Command = {
  summary: 'set, list or delete secrets that resources refer to',
  help: `waggle secret set NAME KEY=- | KEY=VALUE … [--from-file KEY=PATH …] [-n NAMESPACE] [--edge URL]
waggle secret list [-n NAMESPACE | -A] [--edge URL]
waggle secret delete NAME [-n NAMESPACE] [--edge URL]

  KEY=-             read the value from stdin (or ask for it, without showing it)
  --from-file       read the value from a file
  KEY=VALUE         works too, but other users of this machine and your shell's history can see it

A value loses one newline at its end. Keys not named keep their values. No command shows a value again.`,
  async run([verb, ...argv], io) {
    if (verb === 'set') return set(argv, io)
    if (verb === 'list' || verb === 'ls') return list(argv, io)
    if (verb === 'delete' || verb === 'rm') return remove(argv, io)
    throw usage(
      verb === undefined ? 'set, list or delete?' : `there is no \`waggle secret ${verb}\``,
      'run `waggle help secret`',
    )
  },
}

async function set(argv: readonly string[], io: Io): Promise<void> {
  const { values, positionals } = parse(argv, {
    ...namespaceOptions,
    'from-file': { type: 'string', multiple: true },
  })
  const [name, ...pairs] = positionals
  const files = values['from-file'] ?? []
  if (name === undefined || pairs.length + files.length === 0)
    throw usage('nothing to set', 'waggle secret set NAME KEY=-')
  const path = `secrets/${namespaceOf(values.namespace)}/${nameOf('secret', name)}`
  const data: Record<string, string> = Object.create(null) as Record<string, string>
  const put = (key: string, value: string): void => {
    if (key in data) throw usage(`${key} is given twice`)
    if (value === '') throw new Failure(`the value of ${key} is empty`, 'give one, or leave the key out')
    data[key] = value
  }
  if (pairs.filter((pair) => pair.endsWith('=-')).length > 1 && io.stdin.isTTY !== true) {
    throw usage('only one key can be read from stdin', 'use --from-file for the others')
  }
  for (const pair of pairs) {
    const [key, value] = split(pair)
    if (value === '-') put(key, trimmed(await ask(io, `Value of ${key} (not shown): `)))
    else {
      io.err(`warning: the value of ${key} is in your shell's history; ${key}=- reads it from stdin`)
      put(key, value)
    }
  }
  for (const pair of files) {
    const [key, file] = split(pair)
    put(key, trimmed(await load(file)))
  }
  const admin = await connect(io, values.edge)
  const { keys } = await admin.request('PUT', path, Summary, { body: { data } })
  io.out(`secret/${name} set (keys: ${keys.join(', ')})`)
}

async function list(argv: readonly string[], io: Io): Promise<void> {
  const { values } = parse(argv, { ...namespaceOptions, 'all-namespaces': { type: 'boolean', short: 'A' } })
  const everywhere = values['all-namespaces'] ?? false
  const namespace = everywhere ? undefined : namespaceOf(values.namespace)
  const { items } = await (await connect(io, values.edge)).request('GET', 'secrets', List, { query: { namespace } })
  if (items.length === 0)
    return io.err(namespace === undefined ? 'no secrets' : `no secrets in the namespace ${namespace}`)
  const rows = items.map((item) => [...(everywhere ? [item.namespace] : []), item.name, item.keys.join(', ')])
  for (const line of table([[...(everywhere ? ['NAMESPACE'] : []), 'NAME', 'KEYS'], ...rows])) io.out(line)
}

async function remove(argv: readonly string[], io: Io): Promise<void> {
  const { values, positionals } = parse(argv, namespaceOptions)
  const [name, more] = positionals
  if (name === undefined || more !== undefined) throw usage('which secret?', 'waggle secret delete NAME')
  const path = `secrets/${namespaceOf(values.namespace)}/${nameOf('secret', name)}`
  await (await connect(io, values.edge)).request('DELETE', path, z.unknown())
  io.out(`secret/${name} deleted`)
}

/** Never quotes what follows the `=`: it may be a secret. */
function split(pair: string): [key: string, value: string] {
  const at = pair.indexOf('=')
  if (at < 1) throw usage('a key has no value', 'write KEY=- to read it from stdin, or --from-file KEY=PATH')
  return [pair.slice(0, at), pair.slice(at + 1)]
}

async function load(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new Failure(`cannot read ${path}: ${codeOf(error) === 'ENOENT' ? 'no such file' : messageOf(error)}`)
  })
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new Failure(`${path} is not text`, 'encode it first, for instance as base64')
  }
}

function trimmed(value: string): string {
  return value.replace(/\r?\n$/, '')
}
