import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fingerprint, mark } from './hash.ts'
import { fit, marked } from './names.ts'

const NAME = /^[a-zA-Z0-9_-]{1,64}$/u
const any = fc.oneof(fc.string({ unit: 'binary', maxLength: 100 }), fc.stringMatching(/^[a-zA-Z0-9_-]{50,80}$/u))

test('every name fits, whatever was wanted', () => {
  fc.assert(
    fc.property(any, any, (wanted, identity) => {
      assert.match(fit(wanted, identity), NAME)
      assert.match(marked(wanted, identity), NAME)
    }),
  )
})

test('a name that fits stays, and another is cleaned, cut and marked', () => {
  const long = 'x'.repeat(64)
  assert.equal(fit('get_issue-2', 'a'), 'get_issue-2')
  assert.equal(fit(long, 'a'), long)
  assert.equal(fit(`${long}x`, 'a'), `${'x'.repeat(57)}_${mark('a')}`)
  assert.equal(fit('repo.get/issue', 'a'), `repo_get_issue_${mark('a')}`)
  assert.equal(fit('', 'a'), `_${mark('a')}`)
  assert.equal(marked('get', 'a'), `get_${mark('a')}`)
})

test('wishes that do not fit never meet while their owners differ', () => {
  const owners = Array.from({ length: 500 }, (_, index) => `ns/server-${index} a.b`)
  assert.equal(new Set(owners.map((owner) => fit('a.b', owner))).size, owners.length)
})

test('marks and fingerprints are the same after every restart', () => {
  assert.deepEqual([mark(''), mark('a/b x')], ['811c9d', fingerprint('a/b x').slice(0, 6)])
  fc.assert(fc.property(fc.string(), (text) => assert.match(fingerprint(text), /^[0-9a-f]{16}$/u)))
  assert.equal(fingerprint('waggle'), fingerprint('waggle'))
})
