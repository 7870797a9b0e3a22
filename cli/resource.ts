// A resource as the edge returns it, and how commands name it: `mcpremoteproxy.toolhive.stacklok.dev/linear`.

import * as z from 'zod'
import { edgeKinds, type EdgeKind, elsewhere, isKind, kindOf, kinds } from '../crds/kinds.ts'
import { usage } from './failure.ts'

const Condition = z.looseObject({ type: z.string(), status: z.string(), reason: z.string().optional() })

export const Shown = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string(),
    creationTimestamp: z.string().optional(),
  }),
  spec: z.looseObject({}).optional(),
  status: z
    .looseObject({
      phase: z.string().optional(),
      message: z.string().optional(),
      url: z.string().optional(),
      conditions: z.array(Condition).optional(),
    })
    .optional(),
})
export type Shown = z.infer<typeof Shown>

export const ShownList = z.object({ items: z.array(Shown) })

/** `kind.group/name`, as kubectl prints it. */
export function reference(kind: string, name: string): string {
  const group = isKind(kind) ? kinds[kind].apiVersion.split('/')[0] : undefined
  return `${kind.toLowerCase()}${group === undefined ? '' : `.${group}`}/${name}`
}

/** The kind that a word on the command line means; a usage `Failure` when it means none. */
export function kindNamed(word: string): EdgeKind {
  const kind = kindOf(word.split('.')[0] ?? word)
  if (kind !== undefined) return kind
  const there = Object.entries(elsewhere).find(([kind]) => new RegExp(`^${kind}s?$`, 'i').test(word))
  if (there !== undefined) throw usage(there[1])
  const known = edgeKinds.map((each) => `${kinds[each].plural} (${kinds[each].shortNames.join(', ')})`)
  throw usage(`there is no kind ${JSON.stringify(word)}`, `kinds: ${known.join(', ')}`)
}

/** One word on how it is: what the Ready condition calls it (`Running`), else the phase. */
export function statusOf({ status }: Shown): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  if (ready?.status === 'True' && ready.reason !== undefined) return ready.reason
  return status?.phase ?? '<none>'
}
