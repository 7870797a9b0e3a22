// The answer to an upgrade: a socket that the object keeps, also while it sleeps, or one that only says why there is none.

import { LINK_PROTOCOLS } from '../../protocol/link.ts'
import { CLOSED, MAX_LINKS } from './links.ts'

/** `socket` is the object's end; without it the uplink is told why there is none. */
export type Upgraded =
  | { readonly response: Response; readonly socket: WebSocket; readonly refusal?: never }
  | {
      readonly response: Response
      readonly socket?: never
      readonly refusal: { readonly code: number; readonly reason: string }
    }

/** `open`: links that the cluster has already. */
export function upgrade(request: Request, ctx: DurableObjectState, open: number): Upgraded {
  const offered = (request.headers.get('sec-websocket-protocol') ?? '').split(',').map((one) => one.trim())
  const protocol = LINK_PROTOCOLS.find((one) => offered.includes(one))
  if (protocol === undefined)
    return refused(CLOSED.unknownProtocol, `this edge speaks ${LINK_PROTOCOLS.join(', ')}`, offered[0])
  if (open >= MAX_LINKS) return refused(CLOSED.tooMany, `there are ${MAX_LINKS} links already`, protocol)
  const { 0: client, 1: socket } = new WebSocketPair()
  ctx.acceptWebSocket(socket)
  return { socket, response: upgraded(client, protocol) }
}

/** Says why over the socket itself: clients see neither status nor body of an upgrade that failed. */
function refused(code: number, reason: string, protocol: string | undefined): Upgraded {
  const { 0: client, 1: socket } = new WebSocketPair()
  socket.accept()
  socket.close(code, reason)
  return { refusal: { code, reason }, response: upgraded(client, protocol) }
}

function upgraded(webSocket: WebSocket, protocol: string | undefined): Response {
  const headers = protocol === undefined || protocol === '' ? {} : { 'sec-websocket-protocol': protocol }
  return new Response(null, { status: 101, webSocket, headers })
}
