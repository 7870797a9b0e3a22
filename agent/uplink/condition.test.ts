import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Dropped } from '../../protocol/link.ts'
import { conditionOf, type Standing } from './condition.ts'
import type { Seen } from './offers.ts'

const seen: Seen = {
  kind: 'MCPServer',
  namespace: 'team',
  name: 'a',
  uid: 'uid-1',
  generation: 3,
  resource: undefined,
  problems: [],
  target: undefined,
}
const KEY = 'MCPServer/team/a'
const dropped = (reason: Dropped['reason']) => new Map([[KEY, { key: KEY, reason, message: 'because' }]])
const listed = { uids: new Map([[KEY, 'uid-1']]), dropped: new Map<string, Dropped>() }

function verdict(standing: Partial<Standing>): string | undefined {
  const found = conditionOf(seen, { withheld: undefined, report: undefined, isAway: false, ...standing })
  assert.ok(found === undefined || (found.type === 'EdgeRegistered' && found.observedGeneration === 3))
  return found && `${found.status} ${found.reason}`
}

test('a resource is told what the edge knows of it, and nothing before the edge has spoken', () => {
  const others = new Map([[KEY, 'uid-of-the-one-before']])
  const cases: readonly (readonly [Partial<Standing>, string | undefined])[] = [
    [{}, undefined],
    [{ report: listed }, 'True Registered'],
    [{ report: { ...listed, uids: others } }, undefined],
    [{ report: { ...listed, uids: new Map() } }, undefined],
    [{ report: { ...listed, dropped: dropped('not_allowed') } }, 'False NotAllowed'],
    [{ report: { ...listed, dropped: dropped('shadowed') } }, 'False Shadowed'],
    [{ report: { ...listed, dropped: dropped('conflict') } }, 'False Conflict'],
    [{ report: { ...listed, dropped: dropped('invalid') } }, 'False Invalid'],
    [{ report: { ...listed, dropped: dropped('too_large') } }, 'False TooLarge'],
    [{ report: listed, isAway: true }, 'Unknown NotConnected'],
    [{ report: listed, withheld: 'it says so' }, 'False NotPublished'],
    [{ isAway: true, withheld: 'it says so' }, 'False NotPublished'],
  ]
  for (const [standing, expected] of cases) assert.equal(verdict(standing), expected, JSON.stringify(standing))
})
