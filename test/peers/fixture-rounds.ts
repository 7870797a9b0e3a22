// The conformance fixture's tools that ask the client something before they answer (SEP-2322).
// Written once as input_required results; towards a 2025 client the SDK turns them into server-to-client requests.
// Whatever decides the outcome travels in a signed requestState.

import { acceptedContent, createRequestStateCodec, inputRequired, inputResponse } from '@modelcontextprotocol/server'
import type { ElicitRequestFormParams, InputRequest, ServerContext } from '@modelcontextprotocol/server'
import { capable, text } from './fixture-tools.ts'
import type { FixtureTool } from './fixture-tools.ts'

interface State {
  readonly step: number
  readonly name?: string
}

/** Seals and checks requestState for all rounds of one fixture process. */
export const states = createRequestStateCodec<State>({ key: 'a key that only this test fixture uses' })

type Properties = ElicitRequestFormParams['requestedSchema']['properties']

function ask(message: string, properties: Properties, required: string[] = Object.keys(properties)): InputRequest {
  return inputRequired.elicit({ message, requestedSchema: { type: 'object', properties, required } })
}

function sample(prompt: string, maxTokens: number): InputRequest {
  return inputRequired.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
    maxTokens,
  })
}

const askName = ask('What is your name?', { name: { type: 'string' } })
const askOk = ask('Please confirm', { ok: { type: 'boolean' } })

function sampled(ctx: ServerContext, key: string): string | undefined {
  const view = inputResponse(ctx.mcpReq.inputResponses, key)
  return view.kind === 'sampling' ? JSON.stringify(view.result.content) : undefined
}

function elicited(ctx: ServerContext, key: string): string | undefined {
  const view = inputResponse(ctx.mcpReq.inputResponses, key)
  return view.kind === 'elicit' ? `action=${view.action}, content=${JSON.stringify(view.content ?? {})}` : undefined
}

/** A tool that asks one form and reports the answer. */
function form(name: string, description: string, request: (args: FormArguments) => InputRequest): FixtureTool {
  return {
    name,
    description,
    inputSchema: { type: 'object', properties: { message: { type: 'string' } } },
    run: (args, ctx) => {
      const answer = elicited(ctx, 'form')
      if (answer !== undefined) return text(`User response: ${answer}`)
      return inputRequired({ inputRequests: { form: request(args) } })
    },
  }
}

type FormArguments = Readonly<Record<string, unknown>>

async function confirmed(ctx: ServerContext): Promise<ReturnType<typeof text> | ReturnType<typeof inputRequired>> {
  const state = ctx.mcpReq.requestState<State>()
  if (state !== undefined && acceptedContent(ctx.mcpReq.inputResponses, 'confirm') !== undefined)
    return text('state-ok')
  return inputRequired({ inputRequests: { confirm: askOk }, requestState: await states.mint({ step: 1 }) })
}

const options = ['option1', 'option2', 'option3']
const titled = [
  { const: 'value1', title: 'First' },
  { const: 'value2', title: 'Second' },
  { const: 'value3', title: 'Third' },
]

export const roundTools: readonly FixtureTool[] = [
  {
    name: 'test_input_required_result_elicitation',
    description: 'Greets the user by name',
    run: (_args, ctx) => {
      const name = acceptedContent(ctx.mcpReq.inputResponses, 'user_name')?.['name']
      if (typeof name === 'string') return text(`Hello, ${name}!`)
      return inputRequired({ inputRequests: { user_name: askName } })
    },
  },
  {
    name: 'test_input_required_result_sampling',
    description: 'Asks the model',
    run: (_args, ctx) => {
      const answer = sampled(ctx, 'capital_question')
      if (answer !== undefined) return text(answer)
      return inputRequired({ inputRequests: { capital_question: sample('What is the capital of France?', 100) } })
    },
  },
  {
    name: 'test_input_required_result_list_roots',
    description: 'Asks for the roots',
    run: (_args, ctx) => {
      const view = inputResponse(ctx.mcpReq.inputResponses, 'client_roots')
      if (view.kind === 'roots') return text(view.roots.map((root) => root.uri).join('\n'))
      return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } })
    },
  },
  {
    name: 'test_input_required_result_request_state',
    description: 'Carries state',
    run: (_args, ctx) => confirmed(ctx),
  },
  {
    name: 'test_input_required_result_tampered_state',
    description: 'Checks state',
    run: (_args, ctx) => confirmed(ctx),
  },
  {
    name: 'test_input_required_result_multiple_inputs',
    description: 'Asks three things at once',
    run: async (_args, ctx) => {
      const name = acceptedContent(ctx.mcpReq.inputResponses, 'user_name')?.['name']
      const greeting = sampled(ctx, 'greeting')
      const roots = inputResponse(ctx.mcpReq.inputResponses, 'client_roots')
      if (typeof name === 'string' && greeting !== undefined && roots.kind === 'roots') {
        return text(`${greeting} ${name} of ${roots.roots.length} roots`)
      }
      return inputRequired({
        inputRequests: {
          user_name: askName,
          greeting: sample('Generate a greeting', 50),
          client_roots: inputRequired.listRoots(),
        },
        requestState: await states.mint({ step: 1 }),
      })
    },
  },
  {
    name: 'test_input_required_result_multi_round',
    description: 'Asks twice, one after the other',
    run: async (_args, ctx) => {
      const state = ctx.mcpReq.requestState<State>()
      const name = acceptedContent(ctx.mcpReq.inputResponses, 'step1')?.['name']
      const color = acceptedContent(ctx.mcpReq.inputResponses, 'step2')?.['color']
      if (state?.step === 2 && typeof color === 'string') return text(`${state.name ?? ''} likes ${color}`)
      if (state?.step === 1 && typeof name === 'string') {
        return inputRequired({
          inputRequests: { step2: ask('Step 2: What is your favorite color?', { color: { type: 'string' } }) },
          requestState: await states.mint({ step: 2, name }),
        })
      }
      return inputRequired({
        inputRequests: { step1: ask('Step 1: What is your name?', { name: { type: 'string' } }) },
        requestState: await states.mint({ step: 1 }),
      })
    },
  },
  {
    name: 'test_input_required_result_capabilities',
    description: 'Asks only what the client can answer',
    run: (_args, ctx) => {
      const can = capable(ctx)
      const inputRequests = {
        ...(can.has('sampling') && { sampled: sample('Say something', 50) }),
        ...(can.has('elicitation') && { named: askName }),
      }
      if (Object.keys(inputRequests).length === 0 || ctx.mcpReq.inputResponses !== undefined) return text('complete')
      return inputRequired({ inputRequests })
    },
  },
  {
    // Asking a client that did not declare sampling is answered with -32021 before anything is sent.
    name: 'test_missing_capability',
    description: 'Needs a client that can sample',
    run: (_args, ctx) => {
      const answer = sampled(ctx, 'prompt')
      return answer === undefined
        ? inputRequired({ inputRequests: { prompt: sample('Say something', 50) } })
        : text(answer)
    },
  },
  {
    name: 'test_streaming_elicitation',
    description: 'Asks within its own response',
    run: (_args, ctx) => {
      const answer = elicited(ctx, 'form')
      if (answer !== undefined) return text(answer)
      return inputRequired({ inputRequests: { form: askOk } })
    },
  },
  {
    name: 'test_sampling',
    description: 'Asks the model of a 2025 client',
    inputSchema: { type: 'object', properties: { prompt: { type: 'string' } }, required: ['prompt'] },
    run: (args, ctx) => {
      const answer = sampled(ctx, 'prompt')
      if (answer !== undefined) return text(`LLM response: ${answer}`)
      return inputRequired({ inputRequests: { prompt: sample(String(args['prompt']), 100) } })
    },
  },
  form('test_elicitation', 'Asks for a name and an address', (args) =>
    ask(typeof args['message'] === 'string' ? args['message'] : 'Please fill in', {
      username: { type: 'string', description: "User's response" },
      email: { type: 'string', description: "User's email address" },
    }),
  ),
  form('test_elicitation_sep1034_defaults', 'Asks with a default for every primitive type', () =>
    ask(
      'Please check the defaults',
      {
        name: { type: 'string', default: 'John Doe' },
        age: { type: 'integer', default: 30 },
        score: { type: 'number', default: 95.5 },
        status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean', default: true },
      },
      [],
    ),
  ),
  form('test_elicitation_sep1330_enums', 'Asks with all five forms of enum', () =>
    ask(
      'Please choose',
      {
        untitledSingle: { type: 'string', enum: options },
        titledSingle: { type: 'string', oneOf: titled },
        legacyEnum: { type: 'string', enum: ['opt1', 'opt2'], enumNames: ['Option One', 'Option Two'] },
        untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
        titledMulti: { type: 'array', items: { anyOf: titled } },
      },
      [],
    ),
  ),
]
