// A server says that its tools changed; the catalog follows long before it would have aged.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import { startFixture } from '../peers/fixture.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { exchange, toolNames } from '../peers/wire.ts'

for (const eras of ['modern', 'legacy'] as const) {
  test(`a tool that a ${eras} server offers late is listed within three seconds`, async () => {
    const fixture = await startFixture({ eras })
    const edge = await startEdge({ resources: [entry('fixture', fixture.url), virtual('tools', ['fixture'])] })
    try {
      const endpoint = edge.endpoint('tools')
      await edge.lists(endpoint, ['test_simple_text'])
      // The stream on which the server tells opens right after the catalog was fetched.
      await sleep(1_500)
      const offered = Date.now()
      fixture.offer('a_late_tool')
      await edge.lists(endpoint, ['a_late_tool'])
      const waited = Date.now() - offered
      console.log(`a tool of a ${eras} server is listed ${waited} ms after it was offered`)
      // Of the minute for which its catalog lives; a machine that does other things may take three times as long.
      assert.ok(waited < 10_000, `listed after ${waited} ms`)
      const token = await edge.token(endpoint)
      const { answer } = await exchange(endpoint, { method: 'tools/call', params: { name: 'a_late_tool' }, token })
      assert.ok(answer?.result, 'it can be called')
      assert.ok(toolNames(await exchange(endpoint, { method: 'tools/list', token })).includes('a_late_tool'))
    } finally {
      await edge.close()
      await fixture.close()
    }
  })
}
