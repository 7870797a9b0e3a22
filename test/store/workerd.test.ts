// The Upstash store where it will run: inside real workerd, whose fetch, streams and timers are not those of Node.

import { after, test } from 'node:test'
import { startRedis } from '../redis.ts'
import { startUpstash } from '../upstash.ts'
import { contract } from './contract.ts'
import { unavailable } from './outage.ts'
import { startStuck } from './stuck.ts'
import { bundle, remote, serve } from './workerd.ts'

const built = await bundle()
after(() => built.remove())

contract('Upstash in workerd', async () => {
  const redis = await startRedis()
  const upstash = await startUpstash(redis.port)
  const workerd = await serve(built, upstash)
  return {
    store: remote(`${workerd.url}/upstash`),
    async close() {
      await workerd.close()
      await upstash.close()
      await redis.close()
    },
  }
})

for (const [what, start] of [
  ['never answers', null],
  ['stops in the middle of its answer', '{"result":"ha'],
] as const) {
  test(`in workerd, an endpoint that ${what} is a fault within 4 s`, async () => {
    const stuck = await startStuck(start)
    const workerd = await serve(built, { url: stuck.url, token: 'secret' })
    const store = remote(`${workerd.url}/upstash`)
    await Promise.all([
      unavailable(() => store.get('k'), ['secret']),
      unavailable(() => store.set('k', 'v'.repeat(5_000_000)), ['secret']),
    ])
    await workerd.close()
    stuck.close()
  })
}
