import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import type { Sql } from '../join/admission.ts'
import { Catalogs } from './catalogs.ts'

function made(): Catalogs {
  const database = new DatabaseSync(':memory:')
  const sql: Sql = {
    exec: (query, ...bindings) => {
      if (query.trimStart().startsWith('CREATE')) {
        database.exec(query)
        return { toArray: () => [] }
      }
      const rows = database.prepare(query).all(...bindings)
      return { toArray: () => rows }
    },
  }
  return new Catalogs(sql)
}

const LATE = 120_000
const LAZY = 600_000

test('a catalog is stored once, and again where it may have gone', () => {
  const catalogs = made()
  assert.equal(catalogs.storing('a'), true)
  assert.equal(catalogs.storing('a'), true, 'nothing says yet that it was stored')
  catalogs.needs(new Set(['a']), 0)
  assert.equal(catalogs.storing('a'), false)
  catalogs.needs(new Set(), 2)
  assert.equal(catalogs.storing('a'), true)
  catalogs.needs(new Set(['a']), 3)
  assert.deepEqual(catalogs.garbage(3 + LATE), [])
})

test('what nobody needs goes late, and what is needed stays', () => {
  const catalogs = made()
  for (const digest of ['a', 'b', 'c']) catalogs.storing(digest)
  catalogs.needs(new Set(['a', 'b', 'c']), 0)
  assert.equal(catalogs.due(), undefined)
  catalogs.needs(new Set(['a']), 100)
  catalogs.needs(new Set(['a', 'c']), 200)
  assert.equal(catalogs.due(), 100 + LAZY)
  assert.deepEqual(catalogs.garbage(99 + LATE), [])
  assert.deepEqual(catalogs.garbage(100 + LATE), ['b'])
})

test('a catalog whose snapshot is not complete stays until the next one begins, and what is needed stays besides', () => {
  const catalogs = made()
  catalogs.storing('kept')
  catalogs.needs(new Set(['kept']), 0)
  catalogs.storing('kept')
  catalogs.storing('half')
  assert.deepEqual(catalogs.garbage(10 * LATE), [])
  assert.deepEqual(catalogs.beginning(new Set(['kept']), 1), ['half'])
})

test('what was registered stays, also where the object ended before it noted that', () => {
  const catalogs = made()
  catalogs.storing('old')
  catalogs.needs(new Set(['old']), 0)
  for (const digest of ['new', 'half']) catalogs.storing(digest)
  assert.deepEqual(catalogs.beginning(new Set(['new']), 1), ['half'])
  catalogs.forget('half')
  assert.deepEqual(catalogs.beginning(new Set(['new']), 1 + LATE), ['old'])
  assert.equal(catalogs.storing('new'), false)
})

test('all go when their cluster does', () => {
  const catalogs = made()
  for (let at = 0; at < 100; at += 1) catalogs.storing(`d${at}`)
  catalogs.needs(new Set(['d1', 'd2']), 0)
  assert.equal(catalogs.all().length, 100)
})
