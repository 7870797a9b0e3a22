// The admin API of an edge as commands use it: one request, and every way it can fail as a `Failure` that says what to do.
// Follows no redirect, so the token goes to the chosen edge only.

import * as z from 'zod'
import { readBounded } from '../gateway/bounded.ts'
import { readCredentials } from './credentials.ts'
import { chooseEdge } from './edge.ts'
import { Failure, causeOf } from './failure.ts'
import { type Io, printable } from './io.ts'
import { type Session, openSession } from './session.ts'

const patience = 60_000
const largest = 64 * 1024 * 1024

const Problem = z.object({
  index: z.number().optional(),
  path: z.string(),
  message: z.string(),
  suggestion: z.string().optional(),
})
export type Problem = z.infer<typeof Problem>

const Refusal = z.object({
  error: z.object({ reason: z.string(), message: z.string(), problems: z.array(Problem).optional() }),
})

/** The edge understood and refused. */
export class Refused extends Failure {
  readonly status: number
  readonly problems: readonly Problem[]

  constructor(
    status: number,
    message: string,
    hint: string | undefined,
    problems: readonly Problem[] = [],
    lines = problems.map((problem) => describe(problem)),
  ) {
    super(message, hint, { lines })
    this.status = status
    this.problems = problems
  }
}

/** `spec.remotUrl: is not a field…; did you mean remoteUrl?` */
export function describe({ path, message, suggestion }: Problem): string {
  const meant = suggestion === undefined ? '' : `; did you mean ${suggestion}?`
  return printable(`${path === '' ? '' : `${path}: `}${message}${meant}`)
}

export interface Admin {
  readonly edge: string
  /** Sends a request below /admin/v1/; resolves with the answer as `shape` reads it. */
  request<T>(method: string, path: string, shape: z.ZodType<T>, more?: RequestMore): Promise<T>
}

interface RequestMore {
  /** Undefined ones are left out. */
  query?: Readonly<Record<string, string | undefined>>
  body?: unknown
}

/** The admin API of the edge that `--edge`, WAGGLE_EDGE or the last login names. */
export async function connect(io: Io, given: string | undefined): Promise<Admin> {
  const edge = chooseEdge(given, io, await readCredentials(io))
  const session = openSession(io, edge)
  return {
    edge,
    request: async (method, path, shape, more = {}) => {
      const url = new URL(`${edge}/admin/v1/${path}`)
      for (const [name, value] of Object.entries(more.query ?? {})) {
        if (value !== undefined) url.searchParams.set(name, value)
      }
      const text = await exchange(edge, session, method, url, more.body)
      const parsed = shape.safeParse(json(text))
      if (parsed.success) return parsed.data
      throw new Failure(
        `${edge} answered with something else than its admin API does`,
        'is this the address of an edge?',
      )
    },
  }
}

async function exchange(edge: string, session: Session, method: string, url: URL, body: unknown): Promise<string> {
  const send = (token: string): Promise<Response> =>
    fetch(url, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      redirect: 'manual',
      signal: AbortSignal.timeout(patience),
    }).catch((error: unknown) => {
      throw new Failure(
        `cannot reach ${edge}: ${printable(causeOf(error))}`,
        'check that it is running, and its address (--edge or WAGGLE_EDGE)',
      )
    })
  const token = await session.token()
  let response = await send(token ?? '')
  if (response.status === 401) {
    const other = await session.token(true)
    if (other !== undefined) {
      await response.body?.cancel()
      response = await send(other)
    }
  }
  const text = await read(edge, response)
  if (!response.ok) throw refusal(edge, session, response, text)
  return text
}

function refusal(edge: string, session: Session, response: Response, text: string): Failure {
  const { status, headers } = response
  const parsed = Refusal.safeParse(json(text))
  const said = parsed.success ? printable(parsed.data.error.message) : `${edge} answered with HTTP ${status}`
  const problems = parsed.success ? (parsed.data.error.problems ?? []) : []
  if (status >= 300 && status < 400) {
    return new Failure(
      `${edge} redirects to ${printable(headers.get('location') ?? 'elsewhere')}`,
      'name that address with --edge',
    )
  }
  if (status === 401) return new Refused(status, `${edge} does not accept the token`, session.remedy)
  if (status === 403) {
    const scope = /\bscope="([^"]*)"/.exec(headers.get('www-authenticate') ?? '')?.[1]
    const hint = 'ask the owner of the identity provider for it, then run `waggle login` again'
    if (scope !== undefined) return new Refused(status, `this needs the scope ${printable(scope)}`, hint)
    return new Refused(status, said, 'ask the owner of the edge for the right to do this')
  }
  if (status === 409) {
    const hint = 'somebody else changed it: look with `waggle get`, merge, and try again'
    return new Refused(status, said, hint, problems)
  }
  const later = headers.get('retry-after')
  if (status === 503 || status === 429) {
    return new Refused(status, said, later === null ? 'try again later' : `try again in ${printable(later)} s`)
  }
  return new Refused(status, said, undefined, problems)
}

async function read(edge: string, response: Response): Promise<string> {
  if (response.body === null) return ''
  const text = await readBounded(response.body, largest).catch((error: unknown) => {
    throw new Failure(`${edge} broke off its answer: ${printable(causeOf(error))}`, 'try again')
  })
  if (text === undefined) throw new Failure(`${edge} answers with more than ${largest / 1024 / 1024} MiB`)
  return text
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
