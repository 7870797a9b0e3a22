// An idle proxy, as the image has it, is small: there is one in every server's pod.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { bundleProgram } from '../../agent/bundle.ts'
import { startRecorder } from '../peers/recorder.ts'
import { exchange } from '../peers/wire.ts'
import { proxyConfig, server } from './configs.ts'
import { startProxy } from './proxy.ts'

const LIMIT_MB = 80

test(`a proxy that has served a few calls is idle within ${LIMIT_MB} MB`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'waggle-bundle-'))
  const recorder = await startRecorder()
  await bundleProgram(join(import.meta.dirname, '../../agent/main.ts'), folder)
  const proxy = await startProxy({
    program: join(folder, 'main.js'),
    config: proxyConfig({ servers: [server('test/tools', recorder.url)] }),
  })
  try {
    for (let times = 0; times < 20; times += 1) {
      const { answer } = await exchange(proxy.mcp, { method: 'tools/call', params: { name: 'echo', arguments: {} } })
      assert.ok(answer?.result)
    }
    await sleep(2_000)
    const status = await readFile(`/proc/${proxy.pid}/status`, 'utf8')
    const megabytes = Number(/VmRSS:\s+(\d+) kB/u.exec(status)?.[1]) / 1024
    assert.ok(megabytes > 0 && megabytes <= LIMIT_MB, `${megabytes} MB`)
    console.log(`idle proxy: ${megabytes.toFixed(0)} MB`)
  } finally {
    await proxy.close()
    await recorder.close()
    await rm(folder, { recursive: true, force: true })
  }
})
