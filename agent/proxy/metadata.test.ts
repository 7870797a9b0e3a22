import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forwarded, metadataUrl } from './metadata.ts'

test('metadata is where RFC 9728 says', () => {
  assert.equal(metadataUrl('https://a.example/mcp'), 'https://a.example/.well-known/oauth-protected-resource/mcp')
  assert.equal(metadataUrl('https://a.example'), 'https://a.example/.well-known/oauth-protected-resource')
})

test('a challenge leads to where the client came from, unless that is no host', () => {
  const challenge = 'Bearer resource_metadata="http://in.svc:8080/.well-known/oauth-protected-resource/mcp"'
  const through = (host: string, proto?: string) =>
    forwarded(
      challenge,
      'http://in.svc:8080/mcp',
      new Headers({ 'x-forwarded-host': host, ...(proto !== undefined && { 'x-forwarded-proto': proto }) }),
    )
  assert.match(through('mcp.example.com'), /"https:\/\/mcp\.example\.com\/\.well-known/u)
  assert.match(through('mcp.example.com:8443, inner', 'http'), /"http:\/\/mcp\.example\.com:8443\/\.well-known/u)
  for (const host of ['', 'a" evil="', 'a/b', 'a b']) assert.equal(through(host), challenge)
  assert.equal(through('mcp.example.com', 'javascript'), challenge)
})
