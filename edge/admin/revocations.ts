// Revocations through the admin API: refuse a subject's or one token's access at once, for a while.

import * as z from 'zod'
import { Fault } from '../../protocol/fault.ts'
import { readRevocations, restore, revoke } from '../documents/revocations.ts'
import type { RevocationTarget } from '../documents/revocations.ts'
import { readJson } from './body.ts'
import { queryOf } from './call.ts'
import type { Call, Reply } from './call.ts'

const longest = 366 * 24 * 3600

const text = z.string().min(1).max(2048)

const Target = z
  .strictObject({ issuer: text, subject: text.optional(), tokenId: text.optional() })
  .refine(({ subject, tokenId }) => subject !== undefined || tokenId !== undefined, {
    path: ['subject'],
    error: 'give subject, tokenId or both',
  })

const Request = Target.safeExtend({ seconds: z.int().min(1).max(longest) })

/** `GET /revocations` → `{items: [{issuer, subject?, tokenId?, until}]}`, those in force. */
export async function listRevocations(call: Call): Promise<Reply> {
  queryOf(call, [])
  const { revocations } = await readRevocations(call.host.store)
  const items = [...revocations.values()].filter(({ until }) => until * 1000 > call.host.now())
  return { kind: 'done', body: { items } }
}

/** `POST /revocations` `{issuer, subject?, tokenId?, seconds}`: the same target again replaces → the revocation. */
export async function addRevocation(call: Call): Promise<Reply> {
  queryOf(call, [])
  const { seconds, ...target } = check(Request, await readJson(call.request))
  const now = call.host.now()
  const revocation = { ...named(target), until: Math.ceil(now / 1000) + seconds }
  await revoke(call.host.store, revocation, now)
  await call.host.changed()
  return { kind: 'done', body: revocation, target: describe(target), detail: `for ${seconds} s` }
}

/** `DELETE /revocations?issuer=&subject=&tokenId=` takes it back → the target. */
export async function deleteRevocation(call: Call): Promise<Reply> {
  const target = named(check(Target, queryOf(call, ['issuer', 'subject', 'tokenId'])))
  if (!(await restore(call.host.store, target)))
    return { kind: 'refused', reason: 'not_found', message: 'There is no such revocation.', target: describe(target) }
  await call.host.changed()
  return { kind: 'done', body: target, target: describe(target) }
}

function check<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = schema.safeParse(input)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`)
  throw new Fault('invalid_request', `The revocation is not valid: ${problems.slice(0, 8).join('; ')}.`)
}

function named({ issuer, subject, tokenId }: z.output<typeof Target>): RevocationTarget {
  return { issuer, ...(subject !== undefined && { subject }), ...(tokenId !== undefined && { tokenId }) }
}

function describe({ issuer, subject, tokenId }: z.output<typeof Target>): string {
  return [issuer, subject && `subject ${subject}`, tokenId && `token ${tokenId}`].filter(Boolean).join(' ')
}
