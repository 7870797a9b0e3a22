// One journey through everything a server offers, taken the same way by every client library, so that what they saw
// directly and through the edge can be compared as plain data.

/** The client methods that the journey needs; SDK v1 and v2 both have them. */
export interface Traveller {
  listTools(): Promise<unknown>
  listPrompts(): Promise<unknown>
  listResources(): Promise<unknown>
  listResourceTemplates(): Promise<unknown>
  callTool(name: string, args: Record<string, unknown>, onProgress?: (step: unknown) => void): Promise<unknown>
  getPrompt(name: string, args?: Record<string, string>): Promise<unknown>
  readResource(uri: string): Promise<unknown>
  complete(params: CompleteParams): Promise<unknown>
  close(): Promise<void>
}

export interface CompleteParams {
  ref: { type: 'ref/prompt'; name: string } | { type: 'ref/resource'; uri: string }
  argument: { name: string; value: string }
}

/** What was seen, step by step; failures of a step are part of it. */
export type Journal = Record<string, unknown>

/** Takes the journey. `rename` turns a name of the fixture into the name that this endpoint lists. */
export async function travel(client: Traveller, rename: (name: string) => string = (name) => name): Promise<Journal> {
  const journal: Journal = {}
  const step = async (name: string, action: () => Promise<unknown>): Promise<void> => {
    try {
      journal[name] = settle(await action())
    } catch (cause) {
      const { code, message } = cause as { code?: unknown; message: string }
      journal[name] = { failed: { code, message } }
    }
  }
  try {
    await step('tools', () => client.listTools())
    await step('prompts', () => client.listPrompts())
    await step('resources', () => client.listResources())
    await step('templates', () => client.listResourceTemplates())
    for (const tool of [
      'test_simple_text',
      'test_image_content',
      'test_audio_content',
      'test_embedded_resource',
      'test_multiple_content_types',
      'test_error_handling',
    ]) {
      await step(tool, () => client.callTool(rename(tool), {}))
    }
    await step('arguments', () =>
      client.callTool(rename('json_schema_2020_12_tool'), {
        name: 'Zoë \u{1f41d}',
        address: { street: 'Ä', city: '東京' },
        contactMethod: 'phone',
        phone: '+1',
      }),
    )
    await step('mirrored argument', () => client.callTool(rename('test_x_mcp_header'), { region: 'eu-west-1 Zürich' }))
    const progress: unknown[] = []
    await step('progress', () => client.callTool(rename('test_tool_with_progress'), {}, (one) => progress.push(one)))
    journal['progress steps'] = progress
    await step('prompt', () => client.getPrompt(rename('test_simple_prompt')))
    await step('prompt with arguments', () =>
      client.getPrompt(rename('test_prompt_with_arguments'), { arg1: 'a', arg2: 'b' }),
    )
    await step('prompt with image', () => client.getPrompt(rename('test_prompt_with_image')))
    await step('prompt with resource', () =>
      client.getPrompt(rename('test_prompt_with_embedded_resource'), { resourceUri: 'test://example' }),
    )
    await step('text', () => client.readResource('test://static-text'))
    await step('binary', () => client.readResource('test://static-binary'))
    await step('template', () => client.readResource('test://template/42/data'))
    await step('completion', () =>
      client.complete({
        ref: { type: 'ref/prompt', name: rename('test_prompt_with_arguments') },
        argument: { name: 'arg1', value: 'par' },
      }),
    )
    await step('completion of a template', () =>
      client.complete({
        ref: { type: 'ref/resource', uri: 'test://template/{id}/data' },
        argument: { name: 'id', value: '1' },
      }),
    )
  } finally {
    await client.close()
  }
  return journal
}

// Which server answered and how long a list may be kept belong to the hop, not to the answer.
const hop = new Set(['ttlMs', 'cacheScope', 'resultType', 'io.modelcontextprotocol/serverInfo'])

/** Drops what belongs to the hop, and sorts lists of named things: order is the server's own choice. */
export function settle(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(settle)
    return items.every(isNamed) ? items.sort((a, b) => (a.name < b.name ? -1 : 1)) : items
  }
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value)
    .filter(([key]) => !hop.has(key))
    .map(([key, inner]) => [key, settle(inner)] as const)
    .filter(([key, inner]) => !(key === '_meta' && isEmpty(inner)))
  return Object.fromEntries(kept)
}

function isNamed(value: unknown): value is { name: string } {
  return typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string'
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/** The journal as it would be if the endpoint had not renamed anything. */
export function unnamed(journal: Journal, prefix: string): Journal {
  const strip = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(strip)
    if (!isNamed(value)) return value
    return { ...value, name: value.name.startsWith(prefix) ? value.name.slice(prefix.length) : value.name }
  }
  const lists = { tools: 'tools', prompts: 'prompts' } as const
  const result: Journal = { ...journal }
  for (const [step, member] of Object.entries(lists)) {
    const list = result[step] as Record<string, unknown>
    result[step] = { ...list, [member]: strip(list[member]) }
  }
  return result
}
