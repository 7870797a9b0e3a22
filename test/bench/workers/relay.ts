// The bare relay: parses the JSON, forwards it to the backend and returns the answer as it streams in.
// No authentication, no catalog, no audit: the least a gateway on workerd can cost, and the baseline of the calls.

interface Bindings {
  /** Origin of the backend; the path of the request is kept. */
  readonly BACKEND: string
}

interface Message {
  readonly method: string
  readonly params?: { readonly name?: string }
}

export default {
  async fetch(request: Request, env: Bindings): Promise<Response> {
    const message = JSON.parse(await request.text()) as Message
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    }
    const version = request.headers.get('mcp-protocol-version')
    if (version !== null) headers['mcp-protocol-version'] = version
    const session = request.headers.get('mcp-session-id')
    if (session !== null) headers['mcp-session-id'] = session
    if (version === '2026-07-28') {
      headers['mcp-method'] = message.method
      if (message.params?.name !== undefined) headers['mcp-name'] = message.params.name
    }
    const answer = await fetch(env.BACKEND + new URL(request.url).pathname, {
      method: 'POST',
      headers,
      body: JSON.stringify(message),
    })
    const reply: Record<string, string> = { 'content-type': answer.headers.get('content-type') ?? 'application/json' }
    const opened = answer.headers.get('mcp-session-id')
    if (opened !== null) reply['mcp-session-id'] = opened
    return new Response(answer.body, { status: answer.status, headers: reply })
  },
}
