import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Instance, address, configure, quote } from './capnp.ts'

const instance: Instance = {
  compatibilityDate: '2026-10-01',
  compatibilityFlags: [],
  durableObjects: [{ binding: 'STORE', className: 'StoreObject', sql: true }],
  host: '127.0.0.1',
  port: 8787,
  modules: [
    { name: 'worker.js', path: '../dist/x/worker.js' },
    { name: 'engine.wasm', path: '../dist/x/engine.wasm' },
  ],
  variables: ['PUBLIC_URL'],
  objects: '/state/objects',
  loopback: false,
}

test('a quoted string cannot end its literal', () => {
  assert.equal(quote('plain'), '"plain"')
  assert.equal(quote('a"b\\c'), '"a\\"b\\\\c"')
  assert.equal(quote('line\nbreak'), '"line\\x0abreak"')
  assert.equal(quote('é'), '"\\xc3\\xa9"')
})

test('the values of variables stay out of the configuration', () => {
  const text = configure(instance)
  assert.match(text, /name = "PUBLIC_URL", fromEnvironment = "WAGGLE_VAR_PUBLIC_URL"/)
})

test('the class name alone decides where objects are stored', () => {
  const text = configure(instance)
  assert.match(text, /className = "StoreObject", uniqueKey = "waggle-StoreObject", enableSql = true/)
})

test('each module is embedded by what it is', () => {
  const text = configure(instance)
  assert.match(text, /name = "worker.js", esModule = embed/)
  assert.match(text, /name = "engine.wasm", wasm = embed/)
})

test('an IPv6 address is put in brackets', () => {
  assert.equal(address('::1', 80), '[::1]:80')
  assert.equal(address('[::1]', 80), '[::1]:80')
  assert.equal(address('localhost', 80), 'localhost:80')
})
