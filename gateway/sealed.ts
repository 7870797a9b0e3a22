// What a server hands out for its own later use, request state and task ids, as it travels through clients: sealed, and good
// only for the caller, the endpoint and the server that it was made for.

import { isObject, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import type { Route } from './decide.ts'
import type { Host } from './endpoint.ts'
import type { Forwarding } from './forwarding.ts'
import { taskOf, type Sealed } from './translate.ts'

const STATE_TTL_MS = 3_600_000
const TASK_TTL_MS = 24 * 3_600_000

/** A server's task id as it travels: it opens at the endpoint and for the caller it was made for. */
export interface SealedTask {
  readonly endpoint: string
  readonly via: string | undefined
  /** Exposed name of the tool that began it. */
  readonly tool: string | undefined
  readonly principal: string
  readonly server: string
  readonly expires: number
  readonly id: string
}

interface State {
  readonly endpoint: string
  readonly principal: string
  readonly server: string
  readonly method: string
  readonly name: string
  readonly expires: number
  readonly state: string
}

const NOTHING: Sealed = { requestState: undefined, taskId: undefined }

/** Seals what only we may read in a server's result. */
export async function seal(message: Message, route: Route, forwarding: Forwarding, host: Host): Promise<Sealed> {
  const { result } = message
  if (!isObject(result)) return NOTHING
  const { principal } = forwarding
  const { requestState } = result
  const { method } = forwarding.message
  const isTask = result['resultType'] === 'task' || isObject(result['task']) || method.startsWith('tasks/')
  const task = isTask ? taskOf(result) : undefined
  if (typeof requestState !== 'string' && task === undefined) return NOTHING
  const state: State = {
    endpoint: endpointOf(forwarding, route),
    principal: principal.id,
    server: route.server,
    method,
    name: stateName(forwarding.message),
    expires: host.now() + STATE_TTL_MS,
    state: String(requestState),
  }
  return {
    requestState: typeof requestState === 'string' ? await host.sealer.seal('state', state) : undefined,
    taskId: task === undefined ? undefined : await sealTask(task, route, forwarding, host),
  }
}

/** A task has one id for its caller: the one it was asked for with, else a new one. */
async function sealTask(task: string, route: Route, forwarding: Forwarding, host: Host): Promise<string> {
  const { principal, message } = forwarding
  const asked = message.params['taskId']
  if (typeof asked === 'string' && route.rename?.value === task) return asked
  const sealed: SealedTask = {
    endpoint: forwarding.endpoint.key,
    via: route.via,
    tool: route.entry?.exposed,
    principal: principal.id,
    server: route.server,
    expires: host.now() + TASK_TTL_MS,
    id: task,
  }
  return host.sealer.seal('task', sealed)
}

/** The server's request state behind the sealed one, which must belong to this caller, server and operation. Throws `Fault` `invalid_params`. */
export async function openState(forwarding: Forwarding, route: Route, host: Host): Promise<string> {
  const { message, principal } = forwarding
  const sealed = message.params['requestState']
  const state =
    typeof sealed === 'string' ? ((await host.sealer.open('state', sealed)) as State | undefined) : undefined
  const valid =
    state?.endpoint === endpointOf(forwarding, route) &&
    state.principal === principal.id &&
    state.server === route.server &&
    state.method === message.method &&
    state.name === stateName(message) &&
    state.expires > host.now()
  if (!valid) throw new Fault('invalid_params', '"requestState" is not valid for this request.')
  return state.state
}

/** The server whose request state a message carries, as far as its seal tells; whether it is valid `openState` says. */
export async function stateServer({ params }: Message, host: Host): Promise<string | undefined> {
  const sealed = params['requestState']
  if (typeof sealed !== 'string') return undefined
  return ((await host.sealer.open('state', sealed)) as State | undefined)?.server
}

const endpointOf = ({ endpoint }: Forwarding, { via }: Route): string => via ?? endpoint.key

const stateName = ({ params }: Message): string => String(params['name'] ?? params['uri'] ?? '')
