// The Worker: composition root. Everything else is reached from here.

import { app } from './app.ts'
import type { Env } from './env.ts'
import { endpointKey, serve } from './front.ts'

export { ChannelObject } from './channel-object.ts'
export { HubObject } from './hub/object.ts'
export { RefreshObject } from './refresh.ts'
export { SseSessionObject } from './sse-object.ts'
export { StoreObject } from './store/object.ts'

export default {
  fetch(request: Request, env: Env, context: ExecutionContext): Response | Promise<Response> {
    const key = endpointKey(request.url)
    if (key === undefined) return app.fetch(request, env, context)
    return serve(request, key, env, (work) => context.waitUntil(work))
  },
}
