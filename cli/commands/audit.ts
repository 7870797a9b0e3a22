// `waggle audit`: the newest events of the edge's audit trail, one line each, oldest first.

import * as z from 'zod'
import { connect } from '../admin.ts'
import { type Command, edgeOptions, parse } from '../command.ts'
import { usage } from '../failure.ts'
import { printable } from '../io.ts'
import { table } from '../table.ts'

const Text = z.record(z.string(), z.unknown()).catch({})
const Event = z.looseObject({
  logged_at: z.string().catch(''),
  outcome: z.string().catch(''),
  type: z.string().catch(''),
  subjects: Text,
  target: Text,
  metadata: z.object({ extra: Text }).catch({ extra: {} }),
})
const Events = z.object({ events: z.array(Event) })

export const audit: Command = {
  summary: 'show the newest events of the audit trail',
  help: `waggle audit [--limit N] [-o json] [--edge URL]

  --limit           how many, 1 to 1000 (default 100)
  -o, --output      json: each event whole, one a line`,
  async run(argv, io) {
    const { values } = parse(argv, {
      ...edgeOptions,
      limit: { type: 'string' },
      output: { type: 'string', short: 'o' },
    })
    const { limit = '100', output } = values
    if (!/^[1-9]\d{0,3}$/.test(limit) || Number(limit) > 1000) throw usage('--limit must be a number from 1 to 1000')
    if (output !== undefined && output !== 'json')
      throw usage(`there is no output ${JSON.stringify(output)}`, 'use json')
    const { events } = await (await connect(io, values.edge)).request('GET', 'audit', Events, { query: { limit } })
    if (output === 'json') return events.forEach((event) => io.out(JSON.stringify(event)))
    if (events.length === 0) return io.err('no events yet')
    const rows = events.map(({ logged_at: at, outcome, type, subjects, target, metadata: { extra } }) => [
      at.slice(0, 19).replace('T', ' '),
      outcome,
      first(subjects, ['user', 'user_id']) || '-',
      first(target, ['method']) || type,
      [first(target, ['endpoint']), first(target, ['name'])].filter(Boolean).join(' '),
      outcome === 'success' ? '' : [first(extra, ['reason']), first(extra, ['detail'])].filter(Boolean).join(': '),
    ])
    for (const line of table([['TIME (UTC)', 'OUTCOME', 'WHO', 'WHAT', 'TARGET', 'WHY'], ...rows])) io.out(line)
    return undefined
  },
}

function first(fields: Readonly<Record<string, unknown>>, names: readonly string[]): string {
  const value = names.map((name) => fields[name]).find((each) => typeof each === 'string')
  return typeof value === 'string' ? printable(value, 120) : ''
}
