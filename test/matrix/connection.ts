// The HTTP response that a handler of a server runs under, so that a tool can break the connection of its own call.

import { AsyncLocalStorage } from 'node:async_hooks'
import type { ServerResponse } from 'node:http'

const current = new AsyncLocalStorage<ServerResponse>()

export function within<T>(response: ServerResponse, handle: () => T): T {
  return current.run(response, handle)
}

/** Breaks the connection, as a lost network does. */
export function hangUp(): void {
  const response = current.getStore()
  if (response === undefined) throw new Error('this call has no connection of its own')
  response.destroy()
}
