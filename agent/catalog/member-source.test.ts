import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../protocol/fault.ts'
import { DIGEST_HEADER, MemberSource } from './member-source.ts'

const { signal } = new AbortController()

/** A source of catalogs that are texts, whose proxy answers as the script says; `asked` are the digests it was shown. */
function source(...script: (() => Response)[]) {
  const asked: (string | null)[] = []
  const fetch = async (url: string): Promise<Response> => {
    asked.push(new URL(url).searchParams.get('digest'))
    const answer = script[asked.length - 1]
    if (answer === undefined) throw new Error('connection refused')
    return answer()
  }
  const host = { server: 'test/one', url: 'http://one:9464/catalog', fetch, guard: () => undefined }
  return { asked, member: new MemberSource({ ...host, assertion: async () => 'assertion' }, (text) => text) }
}

const published = (text: string, digest: string) => () => new Response(text, { headers: { [DIGEST_HEADER]: digest } })
const asBefore = () => new Response(null, { status: 204 })
const away = () => new Response(null, { status: 503 })

test('it waits for news of what it has, as long as looks succeed', async () => {
  const { asked, member } = source(published('one', '1'), asBefore, asBefore, published('two', '2'), asBefore)
  const found: (string | undefined)[] = []
  for (let look = 0; look < 5; look += 1) found.push((await member.look(signal)).catalog)
  assert.deepEqual(found, ['one', undefined, undefined, 'two', undefined])
  assert.deepEqual(asked, [null, '1', '1', '1', '2'])
})

test('after a look that failed it does not wait: whoever is back answers at once', async () => {
  const { asked, member } = source(published('one', '1'), away, published('one', '1'), asBefore)
  await member.look(signal)
  await assert.rejects(member.look(signal), (error) => error instanceof Fault && error.reason === 'backend_unavailable')
  assert.equal((await member.look(signal)).catalog, 'one')
  await member.look(signal)
  await assert.rejects(member.look(signal), /cannot be reached/u)
  await assert.rejects(member.look(signal), /cannot be reached/u)
  assert.deepEqual(asked, [null, '1', null, '1', '1', null])
})
