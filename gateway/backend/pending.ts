// Whoever waits for messages on a connection that others share: a call, or the one who listens to what belongs to no call.
// What comes is queued until it is read, within bounds; a response is the last that anybody gets.

import type { Message } from '../../protocol/envelope.ts'
import { MAX_REPLY, type Unasked } from './upstream.ts'

const MAX_QUEUED = 1000

export interface Pending {
  /** The token of the call's progress, as JSON. */
  readonly token: string | undefined
  readonly push: (message: Message) => void
  /** The wait is over, once what came before is read; undefined: in peace. */
  readonly fail: (error: unknown) => void
}

export interface Wait {
  readonly token: string | undefined
  readonly signal: AbortSignal
  /** What the reader is told when the signal aborts. */
  readonly abandoned: () => unknown
  /** So much is unread that there is no room for more. */
  readonly overrun: () => void
  /** Nobody reads any more. */
  readonly leave: () => void
}

/** One who waits, and what is read then, up to a response. */
export function receive({ token, signal, abandoned, overrun, leave }: Wait): { pending: Pending; messages: Unasked } {
  const queue: Message[] = []
  let size = 0
  let ended: { readonly failure: unknown } | undefined
  let wake: (() => void) | undefined
  const pending: Pending = {
    token,
    push: (message) => {
      if (ended !== undefined) return
      size += sizeOf(message)
      if (size > MAX_REPLY) {
        overrun()
        return
      }
      if (queue.length < MAX_QUEUED || message.kind === 'response') queue.push(message)
      else size -= sizeOf(message)
      wake?.()
    },
    fail: (failure) => {
      ended ??= { failure }
      wake?.()
    },
  }
  const abort = () => pending.fail(abandoned())
  signal.addEventListener('abort', abort, { once: true })
  const release = () => {
    leave()
    signal.removeEventListener('abort', abort)
    pending.fail(undefined)
  }
  async function* read(): Unasked {
    try {
      for (;;) {
        const next = queue.shift()
        if (next !== undefined) {
          size -= sizeOf(next)
          yield next
          if (next.kind === 'response') return
        } else if (ended !== undefined) {
          if (ended.failure !== undefined) throw ended.failure
          return
        } else await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      release()
    }
  }
  if (signal.aborted) abort()
  const messages = read()
  const stop = messages.return.bind(messages)
  messages.return = (value) => {
    release()
    return stop(value)
  }
  return { pending, messages }
}

const sizeOf = ({ text, aside }: Message): number => text.length + (aside?.length ?? 0)
