// The command that the suite's client scenarios run, with the URL of a scripted server as last argument.
// It makes that server a backend of a running edge and exercises it with a client at the edge's front,
// so that what the suite judges is the edge's own conduct as a client.

import { setTimeout as sleep } from 'node:timers/promises'
import { entry, virtual } from '../peers/manifests.ts'
import { exchange, toolNames } from '../peers/wire.ts'
import { exercises } from './exercises.ts'
import type { Exercise } from './exercises.ts'
import { connect } from './front.ts'
import { readBrief } from './brief.ts'

const brief = readBrief(process.env)
const server = process.argv.at(-1) ?? ''
const scenario = process.env['MCP_CONFORMANCE_SCENARIO'] ?? ''
const context = JSON.parse(process.env['MCP_CONFORMANCE_CONTEXT'] ?? '{}') as Readonly<Record<string, unknown>>
const resources = `/admin/v1/resources`

async function admin(method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${brief.edge}${path}`, {
    method,
    headers: { authorization: `Bearer ${brief.adminToken}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(10_000),
  })
  const answer = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer}`)
  return JSON.parse(answer)
}

/** Waits until the edge has shaken hands with the server and offers what the exercise needs. */
async function ready(name: string, needs: Exercise): Promise<void> {
  const deadline = Date.now() + 15_000
  for (;;) {
    const seen = (await admin('GET', `${resources}/MCPServerEntry/test/${name}`)) as { status: { phase: string } }
    if (seen.status.phase === 'Valid' && (await offered(`${brief.edge}/test/${name}/mcp`, needs))) return
    if (Date.now() > deadline) throw new Error(`the edge does not get on with ${server}: ${JSON.stringify(seen)}`)
    await sleep(100)
  }
}

async function offered(url: string, { tool, method = 'tools/list' }: Exercise): Promise<boolean> {
  const seen = await exchange(url, { method, token: brief.token })
  return tool === undefined ? seen.answer?.result !== undefined : toolNames(seen).includes(tool)
}

const exercise = exercises[scenario]
if (exercise === undefined) throw new Error(`no exercise for scenario "${scenario}"`)
await admin('PUT', resources, { resources: [entry(brief.name, server), virtual(brief.name, [brief.name])] })
try {
  await ready(brief.name, exercise)
  for (const era of exercise.fronts) {
    const front = await connect(`${brief.edge}/test/${brief.name}/mcp`, brief.token, era)
    try {
      await exercise.run(front, context)
    } finally {
      await front.close()
    }
  }
} finally {
  // The suite waits until nobody is connected to its server any more.
  await admin('DELETE', `${resources}/VirtualMCPServer/test/${brief.name}`)
  await admin('DELETE', `${resources}/MCPServerEntry/test/${brief.name}`)
}
