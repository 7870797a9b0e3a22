// `waggle delete`: removes resources by kind and name, or those that files name.

import * as z from 'zod'
import { type Admin, Refused, connect, describe } from '../admin.ts'
import { type Command, nameOf, namespaceOf, namespaceOptions, parse } from '../command.ts'
import { usage } from '../failure.ts'
import type { Io } from '../io.ts'
import { checkManifests, readManifests } from '../manifests.ts'
import { kindNamed, reference } from '../resource.ts'

const Deleted = z.object({
  warnings: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
})

interface Target {
  kind: string
  namespace: string
  name: string
}

export const remove: Command = {
  summary: 'delete resources',
  help: `waggle delete KIND NAME … [-n NAMESPACE] [--ignore-not-found] [--edge URL]
waggle delete -f FILE|FOLDER|- [-f …] [-n NAMESPACE] [-R] [--ignore-not-found] [--edge URL]

Resources that still name a deleted one are listed as warnings; their status says so too.`,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      ...namespaceOptions,
      filename: { type: 'string', short: 'f', multiple: true },
      recursive: { type: 'boolean', short: 'R' },
      'ignore-not-found': { type: 'boolean' },
    })
    const { filename: files = [], recursive = false, 'ignore-not-found': ignore = false } = values
    const namespace = values.namespace === undefined ? undefined : namespaceOf(values.namespace)
    let targets: Target[]
    if (files.length > 0) {
      if (positionals.length > 0) throw usage('give a kind and names, or files with -f, not both')
      const checked = checkManifests(await readManifests(files, io, recursive), namespace)
      targets = checked.map(({ resource: { kind, metadata } }) => ({
        kind,
        namespace: metadata.namespace,
        name: metadata.name,
      }))
    } else targets = named(positionals, namespace ?? 'default')
    const admin = await connect(io, values.edge)
    for (const target of targets) await one(admin, io, target, ignore)
  },
}

function named([word = '', ...names]: string[], namespace: string): Target[] {
  const [kind = '', name] = word.split('/')
  const all = name === undefined ? names : [name, ...names]
  if (kind === '' || all.length === 0) throw usage('nothing to delete', 'give a kind and a name, or files with -f')
  return all.map((each) => ({ kind: kindNamed(kind), namespace, name: nameOf('name', each) }))
}

async function one(admin: Admin, io: Io, { kind, namespace, name }: Target, ignore: boolean): Promise<void> {
  try {
    const { warnings = [] } = await admin.request('DELETE', `resources/${kind}/${namespace}/${name}`, Deleted)
    for (const warning of warnings) io.err(`warning: ${describe({ path: '', message: warning.message })}`)
    io.out(`${reference(kind, name)} deleted`)
  } catch (error) {
    if (!ignore || !(error instanceof Refused) || error.status !== 404) throw error
  }
}
