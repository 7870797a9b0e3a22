// What the client at the front does in each of the suite's client scenarios: whatever makes the edge show the conduct that is judged.
// Exercises of 2026-07-28 are done in both eras at the front: towards its servers the edge must not behave differently.

import assert from 'node:assert/strict'
import type { Front, FrontEra } from './front.ts'

export interface Exercise {
  readonly fronts: readonly FrontEra[]
  /** A tool of the scripted server; once it is listed the exercise may begin. */
  readonly tool?: string
  /** Where there is no tool: a method that the server answers once the edge knows it. */
  readonly method?: string
  /** `context` is what the scenario hands to its client. */
  readonly run: (front: Front, context: Readonly<Record<string, unknown>>) => Promise<void>
}

const both: readonly FrontEra[] = ['modern', 'legacy']

async function names(front: Front): Promise<string[]> {
  return (await front.client.listTools()).tools.map(({ name }) => name)
}

async function standardHeaders(front: Front): Promise<void> {
  for (const name of await names(front)) await front.call(name)
  for (const { uri } of (await front.client.listResources()).resources) await front.client.readResource({ uri })
  for (const { name } of (await front.client.listPrompts()).prompts) await front.client.getPrompt({ name })
}

interface Call {
  readonly name: string
  readonly arguments: Readonly<Record<string, unknown>>
}

async function customHeaders(front: Front, context: Readonly<Record<string, unknown>>): Promise<void> {
  await names(front)
  for (const call of context['toolCalls'] as readonly Call[]) await front.call(call.name, call.arguments)
}

const invalid = [
  'invalid_empty_header',
  'invalid_object_header',
  'invalid_array_header',
  'invalid_null_header',
  'invalid_number_header',
  'invalid_duplicate_same_case',
  'invalid_duplicate_diff_case',
  'invalid_space_in_name',
  'invalid_colon_in_name',
  'invalid_non_ascii_name',
  'invalid_control_char_name',
]

/** Calls every tool that is listed, and asks for the others by name: a client that knows no better must not reach them. */
async function invalidTools(front: Front): Promise<void> {
  assert.deepEqual(await names(front), ['valid_tool'])
  await front.call('valid_tool', { region: 'north' })
  for (const name of invalid) await assert.rejects(front.call(name, { value: 'x', region: 'x' }), name)
}

async function rounds(front: Front): Promise<void> {
  await names(front)
  front.asked = async () => void (await front.call('test_mrtr_unrelated'))
  for (const name of ['test_mrtr_echo_state', 'test_mrtr_no_state', 'test_mrtr_no_result_type']) await front.call(name)
}

async function echoSchema(front: Front): Promise<void> {
  const { tools } = await front.client.listTools()
  const schema = tools.find(({ name }) => name === 'json_schema_2020_12_tool')?.inputSchema
  await front.call('json_schema_echo', { schema })
}

/** By name of the scenario. */
export const exercises: Readonly<Record<string, Exercise>> = {
  initialize: { fronts: both, run: async (front) => void (await names(front)) },
  tools_call: {
    fronts: both,
    tool: 'add_numbers',
    run: async (front) => {
      assert.deepEqual(await names(front), ['add_numbers'])
      const { content } = await front.call('add_numbers', { a: 5, b: 3 })
      assert.deepEqual(content, [{ type: 'text', text: 'The sum of 5 and 3 is 8' }])
    },
  },
  'elicitation-sep1034-client-defaults': {
    // A legacy server can ask only a legacy client. This one asks on the stream of its session, at the first call.
    fronts: ['legacy'],
    tool: 'test_client_elicitation_defaults',
    run: async (front) => void (await front.call('test_client_elicitation_defaults')),
  },
  'sse-retry': {
    fronts: both,
    tool: 'test_reconnection',
    run: async (front) => {
      const { content } = await front.call('test_reconnection')
      assert.deepEqual(content, [{ type: 'text', text: 'Reconnection test completed successfully' }])
    },
  },
  'request-metadata': {
    // The scripted server has nothing to call; a method that the edge does not know goes to its only server.
    fronts: both,
    method: 'vendor/anything',
    run: async (front) => void (await front.send('vendor/anything')),
  },
  'sep-2322-client-request-state': { fronts: both, tool: 'test_mrtr_echo_state', run: rounds },
  'http-standard-headers': { fronts: both, tool: 'test_headers', run: standardHeaders },
  'http-custom-headers': { fronts: both, tool: 'test_custom_headers', run: customHeaders },
  'http-invalid-tool-headers': { fronts: both, tool: 'valid_tool', run: invalidTools },
  'json-schema-ref-no-deref': {
    fronts: both,
    tool: 'lookup_user',
    run: async (front) => assert.deepEqual(await names(front), ['lookup_user']),
  },
  'json-schema-2020-12-preservation': { fronts: both, tool: 'json_schema_echo', run: echoSchema },
  'sep-2640-client-no-prefetch': {
    fronts: both,
    method: 'skills/list',
    run: async (front) => void (await front.send('skills/list')),
  },
}
