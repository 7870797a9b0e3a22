// The matrix's features of servers that ask: the client answers, or the server learns that it cannot.

import assert from 'node:assert/strict'
import { rejection, textOf } from './cell.ts'
import type { Check, Feature } from './cell.ts'
import { listening } from './changes.ts'

function answered(tool: string, method: string, expected: string): Check {
  return async ({ visitor }) => {
    // Questions that belong to no call need the stream for what belongs to none.
    await listening(visitor)
    const answer = await visitor.call(tool)
    assert.deepEqual([textOf(answer), answer.isError ?? false], [expected, false])
    assert.deepEqual(visitor.asked, [method], 'asked once')
  }
}

/** The tool fails with a text that says what is missing, and the client is asked nothing. */
function refused(tool: string, text: RegExp): Check {
  return async ({ visitor }) => {
    const answer = await visitor.call(tool)
    assert.equal(answer.isError, true)
    assert.match(textOf(answer), text)
    assert.deepEqual(visitor.asked, [])
  }
}

/** The tool fails when its server stops waiting for the answer; the client may have been asked for nothing. */
function inVain(tool: string, method: string): Check {
  return async ({ visitor }) => {
    const answer = await visitor.call(tool)
    assert.equal(answer.isError, true)
    assert.match(textOf(answer), /timed out/)
    assert.ok(visitor.asked.length <= 1 && visitor.asked.every((asked) => asked === method))
  }
}

const unsupported = /not support/i

function feature(tool: string, method: string, expected: string, missing: RegExp): Feature {
  return {
    works: answered(tool, method, expected),
    'not in this revision': refused(tool, missing),
    declined: refused(tool, unsupported),
    'cannot ask': refused(tool, unsupported),
    unanswered: inVain(tool, method),
  }
}

export const asks: Readonly<Record<string, Feature>> = {
  'elicitation, form': feature('ask_form', 'elicitation/create', 'accept Ada', /\belicitation\b/),
  'elicitation, URL': feature(
    'ask_url',
    'elicitation/create url',
    'accept',
    /\burl elicitation\b|\belicitation\.url\b/,
  ),
  sampling: feature('ask_model', 'sampling/createMessage', 'Paris', /\bsampling\b/),
  roots: feature('ask_roots', 'roots/list', 'file:///hive file:///meadow', /\broots\b/),
  'question beside a call': feature('ask_unrelated', 'elicitation/create', 'accept Ada', /\belicitation\b/),
}

/** A client that declares nothing: at a modern server of its own era an error says what is missing, elsewhere the tool's text does. */
export const unaskable: Readonly<Record<string, { readonly error: Check; readonly text: Check }>> = Object.fromEntries(
  [
    ['ask_form', /\belicitation\b/],
    ['ask_url', /\burl elicitation\b|\belicitation\.url\b/],
    ['ask_model', /\bsampling\b|not support/],
    ['ask_roots', /\broots\b|not support/],
  ].map(([tool, missing]) => [
    String(tool),
    { error: lacking(String(tool)), text: refused(String(tool), missing as RegExp) },
  ]),
)

/** -32021 (MCP 2026-07-28, basic): the server needs a capability that the client did not declare. */
function lacking(tool: string): Check {
  return async ({ visitor }) => {
    const { code, data } = await rejection(visitor.call(tool))
    assert.equal(code, -32021)
    assert.ok(
      Object.keys((data as { requiredCapabilities?: object } | undefined)?.requiredCapabilities ?? {}).length > 0,
    )
  }
}
