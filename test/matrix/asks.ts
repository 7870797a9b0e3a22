// The matrix's features of servers that ask: the client answers, or the server learns that it cannot.

import assert from 'node:assert/strict'
import { textOf } from './cell.ts'
import type { Check, Feature } from './cell.ts'

function answered(tool: string, method: string, expected: string): Check {
  return async ({ visitor }) => {
    const answer = await visitor.call(tool)
    assert.deepEqual([textOf(answer), answer.isError ?? false], [expected, false])
    assert.deepEqual(visitor.asked, [method], 'asked once')
  }
}

/** The tool fails with a text of the server's own; the client is asked nothing. */
function declined(tool: string): Check {
  return async ({ visitor }) => {
    const answer = await visitor.call(tool)
    assert.equal(answer.isError, true)
    assert.match(textOf(answer), /not support/i)
    assert.deepEqual(visitor.asked, [])
  }
}

/** The tool fails with a text of the edge that says what is missing; the client is asked nothing. */
function explained(tool: string, missing: string): Check {
  return async ({ visitor }) => {
    const answer = await visitor.call(tool)
    assert.equal(answer.isError, true)
    assert.match(textOf(answer), new RegExp(missing, 'i'))
    assert.deepEqual(visitor.asked, [])
  }
}

function feature(tool: string, method: string, expected: string, missing: string): Feature {
  return {
    works: answered(tool, method, expected),
    declined: declined(tool),
    text: explained(tool, missing),
    'not in this revision: declined': declined(tool),
    'not in this revision: text': explained(tool, missing),
  }
}

export const asks: Readonly<Record<string, Feature>> = {
  'elicitation, form': feature('ask_form', 'elicitation/create', 'accept Ada', 'elicitation'),
  'elicitation, URL': feature('ask_url', 'elicitation/create url', 'accept', 'https://login\\.example/start'),
  sampling: feature('ask_model', 'sampling/createMessage', 'Paris', 'sampling'),
  roots: feature('ask_roots', 'roots/list', 'file:///hive file:///meadow', 'roots'),
  'question beside a call': feature('ask_unrelated', 'elicitation/create', 'accept Ada', 'elicitation'),
}
