// The endpoints that are fuzzed, by what is behind them.

import type { Random } from './random.ts'

export type EndpointName = 'sole' | 'modern' | 'both' | 'sse' | 'open' | 'mcp'

export const endpoints: readonly EndpointName[] = ['sole', 'modern', 'both', 'sse', 'open', 'mcp']

export const pathOf = (name: EndpointName): string => (name === 'mcp' ? '/mcp' : `/test/${name}/mcp`)

/** The old transport has one stream for each session, which costs more: it gets fewer. */
export function endpoint(random: Random): EndpointName {
  return random.weighted([
    [6, () => 'sole'],
    [6, () => 'modern'],
    [3, () => 'both'],
    [1, () => 'sse'],
    [2, () => 'open'],
    [2, () => 'mcp'],
  ])
}

export function authorization(name: EndpointName): (readonly [string, string])[] {
  return name === 'open' ? [] : [['authorization', `Bearer {{token.${name}}}`]]
}

/** A token that nobody issued: parts of a JWT that make sense, and parts that do not. */
export function forged(random: Random): string {
  const part = (texts: readonly string[]): string => Buffer.from(random.pick(texts), 'utf8').toString('base64url')
  const head = part([
    '{"alg":"none"}',
    '{"alg":"ES256","kid":"x"}',
    '{"alg":"ES256","kid":{"a":1}}',
    '{"alg":"HS256","typ":"at+jwt"}',
    '{"alg":["ES256"]}',
    '{"alg":"ES256","crit":["b64"],"b64":false}',
    '{"alg":"ES256","jku":"http://127.0.0.1:9/jwks","jwk":{"kty":"EC"}}',
    '{"alg":"ES256","x5u":"file:///etc/passwd"}',
    '{"__proto__":{"alg":"none"}}',
    '[]',
    'null',
    '{',
  ])
  const claims = part([
    '{}',
    '{"iss":"http://{{host}}"}',
    '{"iss":1,"sub":[],"aud":{},"exp":"x"}',
    '{"iss":"__proto__","exp":1e999}',
    '{"exp":-1}',
    'null',
    '"x"',
    `{"sub":${JSON.stringify('s'.repeat(9000))}}`,
    '\u0000',
  ])
  return [head, claims, random.pick(['', 'AAAA', 'x'.repeat(86), '!', part(['sig'])])]
    .slice(0, random.pick([3, 3, 3, 3, 2, 1]))
    .join('.')
}
