import assert from 'node:assert/strict'
import { test } from 'node:test'
import { proxyConfig, server, tokensOf, virtualConfig } from '../../test/proxy/configs.ts'
import { printRunConfig, type RunConfig } from '../run-config.ts'
import { parseRunConfig } from './config.ts'

const open = proxyConfig({ servers: [] })
const config = proxyConfig({
  servers: [server('test/one', 'http://mcp-one:8080/mcp', { secretHeaders: [], headers: { 'x-a': 'b' } })],
  guard: tokensOf('https://issuer.example', 'https://a.example/mcp'),
})

test('what an operator writes comes out as it went in', () => {
  for (const one of [config, virtualConfig({ servers: [] })]) {
    const { endpoint } = parseRunConfig(printRunConfig(one))
    assert.deepEqual(JSON.parse(JSON.stringify(endpoint)), JSON.parse(JSON.stringify(one.endpoint)))
  }
})

test('what a newer operator adds is no problem', () => {
  assert.ok(parseRunConfig(printRunConfig({ ...config, later: { a: 1 } } as RunConfig)))
})

test('what is wrong is told with its place, and no value of it', () => {
  const broken = JSON.parse(JSON.stringify(config)) as { servers: { url: string }[]; port: unknown; prefix: string }
  broken.port = 'eighty'
  broken.prefix = '/a/'
  const [first] = broken.servers
  if (first !== undefined) first.url = 'file:///etc/secret'
  assert.throws(
    () => parseRunConfig(JSON.stringify(broken)),
    ({ message }: Error) =>
      /port: must be of type number/u.test(message) &&
      /prefix: /u.test(message) &&
      /servers\.0\.url: /u.test(message) &&
      !/secret|eighty/u.test(message),
  )
  assert.throws(() => parseRunConfig('{'), /not JSON/u)
  assert.throws(() => parseRunConfig(JSON.stringify({ ...config, format: 2 })), /format/u)
})

test('a signer whose uses got lost is trusted with nothing', () => {
  const signers = [{ issuer: 'test/test/VirtualMCPServer/all', jwks: { keys: [] } }]
  const read = (one: object) =>
    parseRunConfig(printRunConfig({ ...config, signers: [one] } as unknown as RunConfig)).signers
  assert.deepEqual(read({ ...signers[0] }), [{ ...signers[0], uses: [] }])
  // Uses of a newer operator are no reason to serve nobody.
  assert.deepEqual(read({ ...signers[0], uses: ['call', 'later'] })[0]?.uses, ['call', 'later'])
  assert.throws(() => read({ ...signers[0], uses: 'call' }), /signers\.0\.uses/u)
})

test('anybody may enter only where that is said in so many words', () => {
  const { guard } = open.endpoint
  assert.equal(guard.issuers, undefined)
  assert.equal(parseRunConfig(printRunConfig(open)).endpoint.guard.issuers, undefined)
  assert.throws(() => parseRunConfig(JSON.stringify(open)), /endpoint\.guard\.issuers/u)
})
