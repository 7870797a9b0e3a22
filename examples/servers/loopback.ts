// Preloaded (`node --import`) into example servers that would listen on every interface: they listen on 127.0.0.1 instead, tell
// the process that started them which port they got, and end when it goes away, however it ended.

import { Server } from 'node:net'

const listen = Reflect.get(Server.prototype, 'listen') as (this: Server, ...args: unknown[]) => Server

function guarded(this: Server, ...args: unknown[]): Server {
  const [target] = args
  const callback = args.findLast((argument) => typeof argument === 'function')
  const port = typeof target === 'object' && target !== null && 'port' in target ? target.port : target
  this.once('error', (error) => {
    process.send?.({ error: error.message, code: 'code' in error ? error.code : undefined })
    // The send is asynchronous; the parent closes the channel once it has the message.
    setTimeout(() => process.exit(1), 1000).unref()
  })
  this.once('listening', () => {
    const address = this.address()
    if (address !== null && typeof address === 'object') process.send?.({ port: address.port })
  })
  return listen.call(this, { port: Number(port ?? 0), host: '127.0.0.1' }, callback)
}

Reflect.set(Server.prototype, 'listen', guarded)
process.once('disconnect', () => process.exit(0))
