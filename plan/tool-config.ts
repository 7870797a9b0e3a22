// What an MCPToolConfig does to the tools of a server: which of them pass, and under which names.

import type { Override } from '../gateway/catalog/catalog.ts'
import { glob, type Rule } from '../gateway/policy.ts'
import { resourceKey, type Resources } from './resources.ts'

export interface ToolConfig {
  readonly filter: readonly string[] | undefined
  readonly overrides: Readonly<Record<string, Override>>
}

/** Undefined when the config does not exist: its filter is unknown, so nothing may pass. */
export function toolConfig(namespace: string, name: string, resources: Resources): ToolConfig | undefined {
  const config = resources.get(resourceKey('MCPToolConfig', namespace, name))
  if (config?.kind !== 'MCPToolConfig') return undefined
  return { filter: config.spec.toolsFilter, overrides: config.spec.toolsOverride ?? {} }
}

/** A rule about names that a proxy has changed already: it holds for their new ones as well. */
export function respelled(rule: Rule, configs: readonly (ToolConfig | undefined)[]): Rule {
  const matches = rule.tools.map(glob)
  const renamed = configs.flatMap((config) =>
    Object.entries(config?.overrides ?? {}).flatMap(([original, { name }]) =>
      name !== undefined && matches.some((match) => match(original)) ? [name] : [],
    ),
  )
  return renamed.length === 0 ? rule : { ...rule, tools: [...rule.tools, ...renamed] }
}
