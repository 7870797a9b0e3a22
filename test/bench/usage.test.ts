import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuOf, cpuSeconds, residentOf } from './usage.ts'

test('CPU seconds are user plus system time, whatever the command is called', () => {
  const fields = `S 1 1 1 0 -1 4194560 100 0 0 0 150 50 7 7 20 0 4 0 100 0 0`
  assert.equal(cpuSeconds(`42 (workerd) ${fields}`), 2)
  assert.equal(cpuSeconds(`42 (a) b (c) ${fields}`), 2)
})

test('a busy process is seen to use CPU and memory', () => {
  const before = cpuOf(process.pid)
  const started = process.cpuUsage()
  while (process.cpuUsage(started).user < 80_000) Math.sqrt(performance.now())
  assert.ok(cpuOf(process.pid) - before >= 0.03)
  assert.ok(residentOf(process.pid) > 10)
})
