// `waggle apply`: sends manifests to the edge, all or nothing, and says for each what became of it.

import * as z from 'zod'
import { Refused, connect } from '../admin.ts'
import { type Command, namespaceOf, namespaceOptions, parse } from '../command.ts'
import { usage } from '../failure.ts'
import { checkManifests, locate, readManifests } from '../manifests.ts'
import { reference } from '../resource.ts'

const Results = z.object({
  results: z.array(
    z.object({
      kind: z.string(),
      name: z.string(),
      action: z.string(),
      warnings: z.array(z.object({ path: z.string(), message: z.string(), suggestion: z.string().optional() })),
    }),
  ),
})

export const apply: Command = {
  summary: 'create or change resources from YAML or JSON files',
  help: `waggle apply -f FILE|FOLDER|- [-f …] [-n NAMESPACE] [-R] [--dry-run] [--edge URL]

  -f, --filename    a file with one or more resources, a folder of them, or - for stdin
  -R, --recursive   folders with their subfolders
  -n, --namespace   for resources that name none (default: default)
      --dry-run     the edge checks everything and changes nothing

All resources are applied or none.`,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      ...namespaceOptions,
      filename: { type: 'string', short: 'f', multiple: true },
      recursive: { type: 'boolean', short: 'R' },
      'dry-run': { type: 'boolean' },
    })
    if (positionals.length > 0) throw usage(`unexpected ${JSON.stringify(positionals[0])}`, 'name files with -f')
    const { filename: files = [], recursive = false, 'dry-run': dry = false } = values
    if (files.length === 0) throw usage('nothing to apply', 'name files with -f')
    const namespace = values.namespace === undefined ? undefined : namespaceOf(values.namespace)
    const checked = checkManifests(await readManifests(files, io, recursive), namespace)

    const admin = await connect(io, values.edge)
    const query = { dryRun: dry ? 'true' : undefined }
    const body = { resources: checked.map(({ manifest }) => manifest) }
    const { results } = await admin.request('PUT', 'resources', Results, { query, body }).catch((error: unknown) => {
      if (!(error instanceof Refused) || error.problems.length === 0) throw error
      const lines = error.problems.map((problem) => locate(checked[problem.index ?? -1]?.source, problem))
      throw new Refused(error.status, error.message, error.hint ?? 'correct them and try again', error.problems, lines)
    })
    for (const [index, { kind, name, action, warnings }] of results.entries()) {
      for (const warning of warnings) io.err(`warning: ${locate(checked[index]?.source, warning)}`)
      io.out(`${reference(kind, name)} ${action}${dry ? ' (dry run)' : ''}`)
    }
  },
}
