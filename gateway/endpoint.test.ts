import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Instance } from './catalog/fleet.ts'
import { DEFAULT_AGGREGATION, merge, type Member } from './catalog/merge.ts'
import { Projection } from './catalog/project.ts'
import { instructions, soleFor, visibleServers, type Endpoint } from './endpoint.ts'
import { caller, fleetMember, memberOf, serverOf } from './sample.ts'
import { Sealer } from './seal.ts'

const sealer = new Sealer([{ kid: 'k', key: new Uint8Array(32) }])

function endpointOf(member: Member, sole: string): Endpoint {
  const catalog = merge([member], DEFAULT_AGGREGATION, [])
  return { catalog, sole, projection: new Projection(catalog, sealer, true) } as unknown as Endpoint
}

test('instructions stand under the name of their server, and once for instances that say the same', () => {
  const says = (text?: string) => serverOf({}, text === undefined ? {} : { instructions: text })
  assert.equal(instructions([['ns/a', says('A')]]), 'A')
  assert.equal(
    instructions([
      ['ns/a', says('A')],
      ['ns/b', says()],
      ['ns/c', says('C')],
    ]),
    '# ns/a\n\nA\n\n# ns/c\n\nC',
  )
  assert.equal(
    instructions([
      ['ns/a@x', says('A')],
      ['ns/a@y', says('A')],
      ['ns/b', says('A')],
    ]),
    '# ns/a\n\nA\n\n# ns/b\n\nA',
  )
  assert.equal(
    instructions([
      ['ns/a@x', says('A')],
      ['ns/a@y', says('B')],
    ]),
    '# ns/a@x\n\nA\n\n# ns/a@y\n\nB',
  )
  assert.equal(instructions([]), undefined)
})

test('the only instance of an endpoint gets what no list names, of those who may be there', () => {
  const placed = (groups: string[]): Partial<Instance> => ({
    rules: [{ tools: ['*'], groups, place: { policy: 'p', here: true } }],
  })
  const endpoint = endpointOf(
    fleetMember('ns/s', 'addressable', { a: { tools: ['get'] } }, () => placed(['ops'])),
    'ns/s@a',
  )
  const ops = caller([], { groups: ['ops'] })
  assert.equal(soleFor(endpoint, ops), 'ns/s@a')
  assert.equal(soleFor(endpoint, caller()), undefined)
  assert.deepEqual(visibleServers(endpoint, caller()), [])
  assert.deepEqual(
    visibleServers(endpoint, ops).map(([key]) => key),
    ['ns/s@a'],
  )
  const own = endpointOf(memberOf('ns/s', {}), 'ns/s')
  assert.equal(soleFor(own, caller()), 'ns/s')
})
