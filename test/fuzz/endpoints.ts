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
