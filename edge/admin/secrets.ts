// Secrets through the admin API: values go in, only names and keys come out.

import { Fault } from '../../protocol/fault.ts'
import {
  deleteSecret,
  maxSecretKeys,
  maxSecretValue,
  readSecrets,
  resealSecrets,
  setSecret,
  summarize,
} from '../documents/secrets.ts'
import { readJson } from './body.ts'
import { nameOf, queryOf } from './call.ts'
import type { Call, Reply } from './call.ts'

/** `GET /secrets[?namespace=]` → `{items: [{namespace, name, keys}]}` */
export async function listSecrets(call: Call): Promise<Reply> {
  const { namespace } = queryOf(call, ['namespace'])
  const { secrets } = await readSecrets(call.host.store)
  const items = summarize(secrets).filter((item) => namespace === undefined || item.namespace === namespace)
  return { kind: 'done', body: { items } }
}

/** `PUT /secrets/:namespace/:name` `{data: {key: value}}` sets those keys and leaves others → `{namespace, name, keys}` */
export async function putSecret(call: Call): Promise<Reply> {
  queryOf(call, [])
  const namespace = nameOf(call, 'namespace')
  const name = nameOf(call, 'name')
  const target = `${namespace}/${name}`
  const parsed = parseData(await readJson(call.request))
  if (parsed.problems.length > 0) {
    const message = 'The secret was not stored: see problems.'
    return { kind: 'refused', reason: 'invalid_resource', message, problems: parsed.problems, target }
  }
  const body = await setSecret(call.host.store, call.host.vaultKeys, { namespace, name, data: parsed.data })
  await call.host.changed()
  return { kind: 'done', body, target, detail: `keys ${[...parsed.data.keys()].join(', ')}` }
}

/** `DELETE /secrets/:namespace/:name` → `{namespace, name}` */
export async function removeSecret(call: Call): Promise<Reply> {
  queryOf(call, [])
  const namespace = nameOf(call, 'namespace')
  const name = nameOf(call, 'name')
  const target = `${namespace}/${name}`
  if (!(await deleteSecret(call.host.store, namespace, name)))
    return { kind: 'refused', reason: 'not_found', message: `There is no secret ${target}.`, target }
  await call.host.changed()
  return { kind: 'done', body: { namespace, name }, target }
}

/** `POST /secrets/reseal` seals everything with the first vault key → `{resealed, current, unreadable}` */
export async function reseal(call: Call): Promise<Reply> {
  queryOf(call, [])
  const body = await resealSecrets(call.host.store, call.host.vaultKeys)
  if (body.resealed > 0) await call.host.changed()
  return { kind: 'done', body, target: 'secrets', detail: `${body.resealed} sealed anew` }
}

// By hand, so that no message can quote a value and a key such as "__proto__" is but a key.
function parseData(body: unknown): { data: Map<string, string>; problems: { path: string; message: string }[] } {
  if (!isRecord(body) || !isRecord(body['data']))
    throw new Fault('invalid_request', 'Send {"data": {"key": "value"}}; "data" must be an object.')
  const problems: { path: string; message: string }[] = []
  for (const field of Object.keys(body))
    if (field !== 'data') problems.push({ path: field.slice(0, 64), message: 'unknown field; only "data" is known' })
  const data = new Map<string, string>()
  const entries = Object.entries(body['data'])
  if (entries.length === 0) problems.push({ path: 'data', message: 'must have at least one key' })
  if (entries.length > maxSecretKeys) problems.push({ path: 'data', message: `may have ${maxSecretKeys} keys` })
  for (const [key, value] of entries.slice(0, maxSecretKeys)) {
    const message = keyProblem(key) ?? valueProblem(value)
    if (message !== undefined) problems.push({ path: `data.${key.slice(0, 64)}`, message })
    else data.set(key, String(value))
  }
  return { data, problems }
}

function keyProblem(key: string): string | undefined {
  return /^[A-Za-z0-9._-]{1,253}$/.test(key) ? undefined : 'a key may have 1-253 of A-Z a-z 0-9 . _ -'
}

function valueProblem(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'must be a string'
  if (!value.isWellFormed()) return 'must be valid Unicode; encode binary values, for instance as base64'
  if (new TextEncoder().encode(value).length > maxSecretValue) return `may have ${maxSecretValue} bytes`
  return undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
