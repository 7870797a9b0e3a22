import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reading } from './environment.ts'

const { text, required, list, flag, number, port } = reading({
  EMPTY: '',
  BLANK: ' ',
  WORD: ' word ',
  LIST: 'a, b,,a',
  YES: 'true',
  ZERO: '0',
  HALF: '0.5',
  BELOW: '-1',
  ABOVE: '65536',
})

test('a variable that is empty or blank is not set', () => {
  for (const name of ['ABSENT', 'EMPTY', 'BLANK']) {
    assert.equal(text(name), undefined)
    assert.deepEqual(list(name), [])
    assert.equal(flag(name, true), true)
    assert.equal(number(name, 7, 9), 7)
    assert.throws(() => required(name), new RegExp(`^Error: ${name}: `, 'u'))
  }
})

test('what is set is read as what it is asked for', () => {
  assert.equal(required('WORD'), 'word')
  assert.deepEqual(list('LIST'), ['a', 'b'])
  assert.equal(flag('YES', false), true)
  assert.equal(port('ZERO', 80), 0)
})

test('what is something else is refused by the name of its variable', () => {
  assert.throws(() => flag('WORD', true), /^Error: WORD: must be true or false/u)
  assert.throws(() => number('ZERO', 1, -1), /^Error: ZERO: /u)
  for (const name of ['WORD', 'HALF', 'BELOW', 'ABOVE'])
    assert.throws(() => port(name, 80), new RegExp(`^Error: ${name}: must be a whole number up to 65535`, 'u'))
})
