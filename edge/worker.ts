// The Worker: composition root. Everything else is reached from here.

import { app } from './app.ts'

export { RefreshObject } from './refresh.ts'
export { SseSessionObject } from './sse-backend.ts'
export { StoreObject } from './store/object.ts'

export default app
