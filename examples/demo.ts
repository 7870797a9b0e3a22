// `npm run demo`: a scripted tour against a running `npm start`, with a real MCP client. Every step checks what it shows, so the
// tour fails (exit 1) when the edge does not do what it says.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditEvent } from '../protocol/audit.ts'
import { userLogin } from './login.ts'
import { narrate } from './narrate.ts'
import { connectAs, type Person } from './person.ts'

interface Start {
  url: string
  issuer: string
  endpoint: string
  pid: number
}

type Result = Awaited<ReturnType<Person['call']>>

const stateRoot = process.env['WAGGLE_STATE'] ?? '.waggle'

/** Where `npm start` runs: the first one, or the one whose URL or port is the argument. Throws with what to do. */
function findStart(argument: string | undefined): Start {
  const port = argument === undefined ? undefined : (/(\d+)\/?$/.exec(argument)?.[1] ?? argument)
  const file = port === undefined ? join(stateRoot, 'start.json') : join(stateRoot, port, 'start.json')
  try {
    const start = JSON.parse(readFileSync(file, 'utf8')) as Start
    process.kill(start.pid, 0)
    return start
  } catch {
    const where = port === undefined ? '' : ` on port ${port}`
    throw new Error(
      `npm start is not running${where}. Run it in another terminal, wait for its page, then run this again.`,
    )
  }
}

function heading(text: string): void {
  console.log(`\n${text}`)
}

function say(text: string): void {
  console.log(`  ${text}`)
}

function textOf(result: Result): string {
  return result.content.flatMap((part) => (part.type === 'text' ? [part.text] : [`(${part.type})`])).join(' ')
}

async function show(person: Person, name: string, input: Record<string, unknown>): Promise<Result> {
  const result = await person.call(name, input, (message) => say(`    … ${message}`))
  assert.notEqual(result.isError, true, `${name} failed: ${textOf(result)}`)
  say(`${name} ${JSON.stringify(input)}`)
  for (const line of textOf(result).split('\n').slice(0, 4)) say(`    ${line}`)
  return result
}

/** The message with which a call is refused. */
async function refusal(person: Person, name: string): Promise<string> {
  try {
    await person.call(name, { title: 'A leak', service: 'roof' })
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  throw new Error(`${name} was not refused`)
}

async function tour(start: Start): Promise<void> {
  heading('1. Without a token nothing is said')
  const bare = await fetch(start.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
    signal: AbortSignal.timeout(10_000),
  })
  await bare.body?.cancel()
  assert.equal(bare.status, 401)
  say(`HTTP 401, ${bare.headers.get('www-authenticate')}`)

  heading('2. Ben (engineer) and Cleo (support) log in with real clients')
  const login = (user: string) => (scopes: string) => say(`${user} logs in, asking for: ${scopes}`)
  const connect = (user: string) => connectAs({ user, url: start.endpoint, onLogin: login(user) })
  const [ben, cleo] = [await connect('ben'), await connect('cleo')]

  heading('3. One endpoint, different catalogs')
  const [benSees, cleoSees] = [await ben.tools(), await cleo.tools()]
  say(`ben  sees ${benSees.length} tools of five servers: ${benSees.join(', ')}`)
  say(`cleo sees ${cleoSees.length}: ${cleoSees.join(', ')}`)
  say(`only ben: ${benSees.filter((name) => !cleoSees.includes(name)).join(', ')}`)
  assert.ok(benSees.includes('board_open_incident') && !cleoSees.includes('board_open_incident'))
  assert.ok(!benSees.includes('board_reset_board'), 'reset_board is for admins')

  heading('4. Ben calls tools of all of them; the last two run as processes here, and calls reach them over the link')
  await show(ben, 'board_list_incidents', {})
  await show(ben, 'everything_add', { a: 19, b: 23 })
  await show(ben, 'classic_echo', { message: 'over a transport from 2024' })
  await show(ben, 'board_diagnose_service', { service: 'checkout' })
  await show(ben, 'files_list_allowed_directories', {})
  await show(ben, 'memory_search_nodes', { query: 'coffee' })

  heading('5. What Cleo may not use does not exist for her')
  const [hidden, absent] = [await refusal(cleo, 'board_open_incident'), await refusal(cleo, 'board_make_coffee')]
  say(`board_open_incident: ${hidden}`)
  say(`board_make_coffee:   ${absent}`)
  assert.equal(hidden.replace('board_open_incident', '…'), absent.replace('board_make_coffee', '…'))

  heading('6. Ben steps up: resolving needs mcp:write, which he has not asked for yet')
  const opened = await show(ben, 'board_open_incident', { title: 'Coffee machine is down', service: 'kitchen' })
  const { id } = opened.structuredContent as { id: string }
  await show(ben, 'board_resolve_incident', { id, resolution: 'Descaled' })

  heading('7. Ada (platform admin) reads the audit trail')
  const { access_token } = await userLogin(start.issuer, {
    user: 'ada',
    scope: 'waggle:admin',
    resource: `${start.url}/admin`,
  })
  const response = await fetch(`${start.url}/admin/v1/audit?limit=20`, {
    headers: { authorization: `Bearer ${access_token}` },
    signal: AbortSignal.timeout(10_000),
  })
  assert.equal(response.status, 200, `the audit trail answered ${response.status}: ${await response.clone().text()}`)
  const { events } = (await response.json()) as { events: AuditEvent[] }
  for (const event of events) say(narrate(event))
  assert.ok(events.length > 0, 'the audit trail is empty')

  await Promise.all([ben.client.close(), cleo.client.close()])
  heading('That was it. Everything happened as it should.\n')
}

try {
  await tour(findStart(process.argv[2]))
} catch (error) {
  console.error(`\nThe demo stopped: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
