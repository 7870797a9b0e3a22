// The conformance fixture's tasks (extension io.modelcontextprotocol/tasks, SEP-2663), for modern clients that declare it.
// They answer before the SDK sees the request: its server strips what a task is made of. A second of a task lasts 100 ms here.

import { acceptedContent, inputRequired } from '@modelcontextprotocol/server'
import { randomUUID } from 'node:crypto'
import { text } from './fixture-tools.ts'
import type { Arguments, FixtureTool } from './fixture-tools.ts'

export const TASKS = 'io.modelcontextprotocol/tasks'

const secondMs = 100
const seconds = (args: Arguments): number => Number(args['seconds'] ?? 0)
const computed = (args: Arguments) => text(`Computed ${String(args['label'] ?? '')}.`)
const failed = () => ({ ...text('The job failed.'), isError: true })

const form = (message: string, name: string, type: string) => ({
  method: 'elicitation/create',
  params: {
    mode: 'form',
    message,
    requestedSchema: { type: 'object', properties: { [name]: { type } }, required: [name] },
  },
})

const greet: FixtureTool = {
  name: 'greet',
  description: 'Greets, at once',
  inputSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
  run: (args) => text(`Hello, ${String(args['name'])}!`),
}

/** What clients without the extension get: everything at once, or a refusal (see `Tasks`). */
export const taskTools: readonly FixtureTool[] = [
  greet,
  {
    name: 'slow_compute',
    description: 'Computes for a while',
    inputSchema: { type: 'object', properties: { seconds: { type: 'number' }, label: { type: 'string' } } },
    run: computed,
  },
  { name: 'failing_job', description: 'Fails after a while', run: failed },
  {
    name: 'protocol_error_job',
    description: 'Breaks while it runs',
    run: () => {
      throw new Error('The job broke.')
    },
  },
  { name: 'confirm_delete', description: 'Deletes after a question', run: () => text('Nothing was deleted.') },
  { name: 'multi_input', description: 'Asks two things at once', run: () => text('Nothing was asked.') },
  {
    name: 'test_tool_with_task',
    description: 'Asks first and is a task then',
    run: (_args, ctx) => {
      const name = acceptedContent(ctx.mcpReq.inputResponses, 'user_name')?.['name']
      if (typeof name === 'string') return text(`Hello, ${name}!`)
      const requestedSchema = { type: 'object' as const, properties: { name: { type: 'string' as const } } }
      const user_name = inputRequired.elicit({ message: 'What is your name?', requestedSchema })
      return inputRequired({ inputRequests: { user_name } })
    },
  },
]

type Fields = Readonly<Record<string, unknown>>

interface Task {
  readonly id: string
  readonly created: string
  status: 'working' | 'input_required' | 'completed' | 'failed' | 'cancelled'
  updated: string
  /** `result` or `error`, once there is one. */
  outcome: Fields
  pending: Record<string, unknown>
  timer: NodeJS.Timeout | undefined
}

type Answer = { readonly result: Fields } | { readonly code: number; readonly message: string; readonly data?: Fields }

/** The tasks of one fixture process. */
export class Tasks {
  readonly #tasks = new Map<string, Task>()

  /** Answers a modern request if it is about tasks; undefined: let the server have it. */
  async answer(request: Request): Promise<Response | undefined> {
    if (request.method !== 'POST') return undefined
    const body = fields(
      await request
        .clone()
        .json()
        .catch(() => undefined),
    )
    const { id } = body
    const method = String(body['method'])
    const params = fields(body['params'])
    const about = method === 'tools/call' ? params['name'] : params['taskId']
    const answer = this.#judge(method, params, declares(params))
    if (answer === undefined) return undefined
    const [methodHeader, nameHeader] = [request.headers.get('mcp-method'), request.headers.get('mcp-name')]
    if (methodHeader !== method || nameHeader?.trim() !== about) {
      return reply(id, { code: -32020, message: 'Mcp-Method and Mcp-Name do not say what the body says' })
    }
    return reply(id, answer())
  }

  close(): void {
    for (const { timer } of this.#tasks.values()) clearTimeout(timer)
    this.#tasks.clear()
  }

  #judge(method: string, params: Fields, declared: boolean): (() => Answer) | undefined {
    const [of, verb] = method.split('/')
    if (of === 'tasks' && (verb === 'get' || verb === 'update' || verb === 'cancel')) {
      return declared ? () => this.#on(verb, params) : () => missing
    }
    if (method !== 'tools/call') return undefined
    const name = String(params['name'])
    if (!declared) return name === 'failing_job' ? () => missing : undefined
    return this.#starter(name, fields(params['arguments']), params)
  }

  #starter(name: string, args: Fields, params: Fields): (() => Answer) | undefined {
    switch (name) {
      case 'slow_compute':
        return seconds(args) === 0 ? undefined : () => this.#start(seconds(args), { result: computed(args) })
      case 'failing_job':
        return () => this.#start(1, { result: failed() })
      case 'protocol_error_job':
        return () => this.#start(1, { error: { code: -32603, message: 'The job broke.' } })
      case 'confirm_delete':
        return () => this.#ask({ confirm: form('Really?', 'confirm', 'boolean') })
      case 'multi_input':
        return () => this.#ask({ first: form('First?', 'name', 'string'), second: form('Second?', 'name', 'string') })
      case 'test_tool_with_task': {
        const given = fields(fields(fields(params['inputResponses'])['user_name'])['content'])['name']
        return typeof given === 'string' ? () => this.#start(1, { result: text(`Hello, ${given}!`) }) : undefined
      }
      default:
        return undefined
    }
  }

  #start(forSeconds: number, outcome: Fields): Answer {
    const task = this.#make('working')
    const settle = (): void => set(task, 'error' in outcome ? 'failed' : 'completed', outcome)
    task.timer = setTimeout(settle, forSeconds * secondMs).unref()
    return { result: { resultType: 'task', ...describe(task) } }
  }

  #ask(pending: Record<string, unknown>): Answer {
    const task = this.#make('input_required')
    task.pending = pending
    return { result: { resultType: 'task', ...describe(task) } }
  }

  #make(status: Task['status']): Task {
    const now = new Date().toISOString()
    const task: Task = {
      id: randomUUID(),
      created: now,
      status,
      updated: now,
      outcome: {},
      pending: {},
      timer: undefined,
    }
    this.#tasks.set(task.id, task)
    return task
  }

  #on(verb: 'get' | 'update' | 'cancel', params: Fields): Answer {
    const task = this.#tasks.get(String(params['taskId']))
    if (task === undefined) return { code: -32602, message: 'params.taskId: no such task' }
    if (verb === 'get') {
      const inputRequests = task.status === 'input_required' && { inputRequests: task.pending }
      return { result: { resultType: 'complete', ...describe(task), ...inputRequests, ...task.outcome } }
    }
    if (verb === 'cancel' && (task.status === 'working' || task.status === 'input_required')) {
      clearTimeout(task.timer)
      set(task, 'cancelled', {})
    }
    if (verb === 'update') {
      for (const key of Object.keys(fields(params['inputResponses']))) delete task.pending[key]
      const done = task.status === 'input_required' && Object.keys(task.pending).length === 0
      if (done) set(task, 'completed', { result: text('Everything was answered.') })
    }
    return { result: { resultType: 'complete' } }
  }
}

const missing: Answer = {
  code: -32021,
  message: 'Tasks are for clients that declare them',
  data: { requiredCapabilities: { extensions: { [TASKS]: {} } } },
}

function set(task: Task, status: Task['status'], outcome: Fields): void {
  task.status = status
  task.outcome = outcome
  task.updated = new Date().toISOString()
}

function describe(task: Task): Fields {
  const { id, status, created, updated } = task
  return { taskId: id, status, createdAt: created, lastUpdatedAt: updated, ttlMs: 600_000, pollIntervalMs: 100 }
}

function declares(params: Fields): boolean {
  const capabilities = fields(fields(params['_meta'])['io.modelcontextprotocol/clientCapabilities'])
  return TASKS in fields(capabilities['extensions'])
}

function reply(id: unknown, answer: Answer): Response {
  if ('result' in answer) return Response.json({ jsonrpc: '2.0', id, result: answer.result })
  const { code } = answer
  return Response.json(
    { jsonrpc: '2.0', id, error: answer },
    { status: code === -32020 || code === -32021 ? 400 : 200 },
  )
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}
