// The static Worker: answers every request with the same bytes without looking at it, the baseline of the lists.
// It reads no body and checks no token, so the gateway is held against the cheapest answer that workerd can send.

interface Bindings {
  /** The JSON text of one list reply, as the gateway sent it. */
  readonly BODY: ArrayBuffer
}

export default {
  fetch(_request: Request, env: Bindings): Response {
    return new Response(env.BODY, { headers: { 'content-type': 'application/json' } })
  },
}
