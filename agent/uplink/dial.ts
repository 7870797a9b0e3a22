// Opens the WebSocket to the edge, or says why there is none. Every attempt has a deadline, and what the edge answers instead of a
// socket is read within bounds.

import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import { LINK_PROTOCOLS, MAX_FRAME } from '../../protocol/link.ts'
import { JoinError } from './session.ts'

export interface Address {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** PEM certificates to trust; undefined: the system's. */
  readonly ca: readonly string[] | undefined
  /** How long the edge may take, in milliseconds. */
  readonly patienceMs: number
}

/** What `opened` makes of the socket, before anything of it is read. Rejects with a `JoinError`, or with the signal's reason. */
export function dial<T>(
  { url, headers, ca, patienceMs }: Address,
  signal: AbortSignal,
  opened: (socket: WebSocket) => T,
): Promise<T> {
  signal.throwIfAborted()
  const socket = new WebSocket(url, [...LINK_PROTOCOLS], {
    headers: { ...headers },
    handshakeTimeout: patienceMs,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME,
    followRedirects: false,
    ...(ca !== undefined && { ca: [...ca] }),
  })
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      socket.terminate()
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', stop, { once: true })
    const settle = (then: () => void): void => {
      signal.removeEventListener('abort', stop)
      then()
    }
    socket.once('open', () => settle(() => resolve(opened(socket))))
    socket.once('unexpected-response', (_request, response) => {
      settle(() => reject(refusal(response)))
      response.destroy()
      socket.terminate()
    })
    socket.on('error', (error) => settle(() => reject(new JoinError('unreachable', `no connection: ${nameOf(error)}`))))
  })
}

/** The body would say no more than the status and the audit trail of the edge. */
function refusal({ statusCode = 0, headers }: IncomingMessage): JoinError {
  const seconds = Number(headers['retry-after'] ?? Number.NaN)
  const retryAfterMs = seconds > 0 && seconds <= 300 ? seconds * 1000 : undefined
  const isCredential = statusCode === 401 || statusCode === 403
  const message = `the edge answers the connection with HTTP ${statusCode}`
  return new JoinError(isCredential ? 'session_expired' : 'unreachable', message, retryAfterMs)
}

function nameOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message.slice(0, 100)
}
