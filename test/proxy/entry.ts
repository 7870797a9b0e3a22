// The program as the agent starts it: `node test/proxy/entry.ts proxy|vmcp`, until a SIGTERM.

import { run } from '../../agent/proxy/main.ts'

const ending = new AbortController()
process.once('SIGTERM', () => ending.abort())
const [role] = process.argv.slice(2)
await run(role === 'vmcp' ? 'vmcp' : 'proxy', { signal: ending.signal })
process.exit(0)
