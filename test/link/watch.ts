// What an uplink tells, to nobody: tests listen to what they are about.

import type { Watch } from '../../agent/uplink/uplink.ts'

const nothing = (): void => undefined

export const unwatched: Watch = {
  linked: nothing,
  lost: nothing,
  registered: nothing,
  observe: nothing,
  latency: nothing,
  failed: nothing,
}
