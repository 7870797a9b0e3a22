// `waggle revoke`: refuses a person or one token at once, for a while, whatever their tokens still say.

import * as z from 'zod'
import { connect } from '../admin.ts'
import { type Command, edgeOptions, parse } from '../command.ts'
import { duration } from '../duration.ts'
import { usage } from '../failure.ts'
import { printable } from '../io.ts'
import { table } from '../table.ts'

const Revocation = z.object({
  issuer: z.string(),
  subject: z.string().optional(),
  tokenId: z.string().optional(),
  until: z.number().optional(),
})
const List = z.object({ items: z.array(Revocation) })

export const revoke: Command = {
  summary: 'refuse a subject or a token before it expires',
  help: `waggle revoke --issuer URL --subject SUBJECT | --token-id ID [--for 24h] [--edge URL]
waggle revoke --undo --issuer URL --subject SUBJECT | --token-id ID [--edge URL]
waggle revoke --list [--edge URL]

  --issuer          the identity provider that the subject or token belongs to
  --subject         the person's or client's \`sub\`
  --token-id        one token's \`jti\`
  --for             how long: 90s, 30m, 24h, 7d (default 24h); as long as the longest token lives
  --undo            take it back`,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      ...edgeOptions,
      issuer: { type: 'string' },
      subject: { type: 'string' },
      'token-id': { type: 'string' },
      for: { type: 'string' },
      list: { type: 'boolean' },
      undo: { type: 'boolean' },
    })
    if (positionals.length > 0) throw usage(`unexpected ${JSON.stringify(positionals[0])}`, 'name it with --subject')
    if (values.list === true) {
      const { items } = await (await connect(io, values.edge)).request('GET', 'revocations', List)
      if (items.length === 0) return io.err('nothing is revoked')
      const rows = items.map((item) => [item.issuer, item.subject ?? '', item.tokenId ?? '', time(item.until)])
      for (const line of table([['ISSUER', 'SUBJECT', 'TOKEN ID', 'UNTIL'], ...rows])) io.out(line)
      return undefined
    }
    const { issuer, subject, 'token-id': tokenId } = values
    if (issuer === undefined) throw usage('whose is it?', 'name the identity provider with --issuer')
    if (subject === undefined && tokenId === undefined)
      throw usage('who or what?', 'name it with --subject or --token-id')
    const seconds = duration(values.for ?? '24h')
    const admin = await connect(io, values.edge)
    const what = printable([subject, tokenId && `token ${tokenId}`].filter(Boolean).join(' '))
    if (values.undo === true) {
      await admin.request('DELETE', 'revocations', z.unknown(), { query: { issuer, subject, tokenId } })
      return io.out(`${what} is accepted again`)
    }
    const body = {
      issuer,
      ...(subject !== undefined && { subject }),
      ...(tokenId !== undefined && { tokenId }),
      seconds,
    }
    const { until } = await admin.request('POST', 'revocations', Revocation, { body })
    return io.out(`${what} is refused${until === undefined ? '' : ` until ${time(until)}`}`)
  },
}

function time(seconds: number | undefined): string {
  return seconds === undefined ? '' : new Date(seconds * 1000).toISOString().replace('.000', '')
}
