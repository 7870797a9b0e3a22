// The conformance fixture's tools that answer in one round: one entry per tool, named as the conformance suite calls it.
// The suite checks names, content types and schemas; nothing else is promised here.

import { CLIENT_CAPABILITIES_META_KEY } from '@modelcontextprotocol/server'
import type { CallToolResult, InputRequiredResult, JsonSchemaType, ServerContext } from '@modelcontextprotocol/server'
import { setTimeout as sleep } from 'node:timers/promises'
import { png, wav } from './media.ts'

/** Lets a tool announce that a list of the fixture changed, in whichever era a listener speaks. */
export interface Announce {
  toolsChanged(): void
  promptsChanged(): void
}

export type Arguments = Readonly<Record<string, unknown>>
export type Answer = CallToolResult | InputRequiredResult | Promise<CallToolResult | InputRequiredResult>

export interface FixtureTool {
  readonly name: string
  readonly description: string
  readonly inputSchema?: JsonSchemaType
  readonly run: (args: Arguments, ctx: ServerContext, announce: Announce) => Answer
}

export function text(value: string): CallToolResult {
  return { content: [{ type: 'text', text: value }] }
}

/** The names of the capabilities that a modern client declared with this request. */
export function capable(ctx: ServerContext): ReadonlySet<string> {
  const envelope: Readonly<Record<string, unknown>> = ctx.mcpReq.envelope ?? {}
  const declared = envelope[CLIENT_CAPABILITIES_META_KEY]
  return new Set(typeof declared === 'object' && declared !== null ? Object.keys(declared) : [])
}

async function progress(ctx: ServerContext): Promise<CallToolResult> {
  const progressToken = ctx.mcpReq._meta?.progressToken
  for (const step of [0, 50, 100]) {
    if (progressToken !== undefined) {
      await ctx.mcpReq.notify({
        method: 'notifications/progress',
        params: { progressToken, progress: step, total: 100 },
      })
    }
    if (step < 100) await sleep(50, undefined, { signal: ctx.mcpReq.signal })
  }
  return text('The work is done.')
}

async function logging(ctx: ServerContext): Promise<CallToolResult> {
  for (const message of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
    await ctx.mcpReq.log('info', message, 'fixture')
    await sleep(50, undefined, { signal: ctx.mcpReq.signal })
  }
  return text('Three messages were logged.')
}

// A keyword of MCP (SEP-2243) that the SDK's type of a JSON Schema does not know.
const mirrored: Readonly<Record<string, string>> = { 'x-mcp-header': 'Region' }

const draft202012: JsonSchemaType = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
    },
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema, not a promise
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
}

export const plainTools: readonly FixtureTool[] = [
  {
    name: 'test_simple_text',
    description: 'One text block',
    run: () => text('This is a simple text response for testing.'),
  },
  {
    name: 'test_image_content',
    description: 'One image block',
    run: () => ({ content: [{ type: 'image', data: png, mimeType: 'image/png' }] }),
  },
  {
    name: 'test_audio_content',
    description: 'One audio block',
    run: () => ({ content: [{ type: 'audio', data: wav, mimeType: 'audio/wav' }] }),
  },
  {
    name: 'test_embedded_resource',
    description: 'One embedded resource',
    run: () => ({
      content: [
        {
          type: 'resource',
          resource: {
            uri: 'test://embedded-resource',
            mimeType: 'text/plain',
            text: 'This is an embedded resource content.',
          },
        },
      ],
    }),
  },
  {
    name: 'test_multiple_content_types',
    description: 'Text, image and resource in one result',
    run: () => ({
      content: [
        { type: 'text', text: 'Multiple content types test:' },
        { type: 'image', data: png, mimeType: 'image/png' },
        {
          type: 'resource',
          resource: {
            uri: 'test://mixed-content-resource',
            mimeType: 'application/json',
            text: '{"test":"data","value":123}',
          },
        },
      ],
    }),
  },
  {
    name: 'test_error_handling',
    description: 'Always fails',
    run: () => ({ ...text('This tool intentionally returns an error for testing'), isError: true }),
  },
  { name: 'test_tool_with_progress', description: 'Reports progress', run: (_args, ctx) => progress(ctx) },
  { name: 'test_tool_with_logging', description: 'Logs while it works', run: (_args, ctx) => logging(ctx) },
  { name: 'test_logging_tool', description: 'Logs only when asked to', run: (_args, ctx) => logging(ctx) },
  {
    name: 'test_trigger_tool_change',
    description: 'Announces that the tools changed',
    run: (_args, _ctx, announce) => {
      announce.toolsChanged()
      return text('announced')
    },
  },
  {
    name: 'test_trigger_prompt_change',
    description: 'Announces that the prompts changed',
    run: (_args, _ctx, announce) => {
      announce.promptsChanged()
      return text('announced')
    },
  },
  {
    name: 'test_x_mcp_header',
    description: 'Has an argument that is mirrored in a header (SEP-2243)',
    inputSchema: {
      type: 'object',
      properties: { region: { type: 'string', description: 'Where to run', ...mirrored } },
    },
    run: (args) => text(`region=${String(args['region'])}`),
  },
  {
    name: 'json_schema_2020_12_tool',
    description: 'Tool with JSON Schema 2020-12 features',
    inputSchema: draft202012,
    run: (args) => text(JSON.stringify(args)),
  },
]
