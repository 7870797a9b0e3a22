// MCPToolConfig: which tools are shown, and how. Two tools under one name could not both be called.

import type { MCPToolConfig } from '../../../crds/mcp-tool-config.ts'
import { configPlanner, invalid, valid, type Verdict } from './config.ts'

export function judgeTools({ spec }: MCPToolConfig): Verdict {
  const { toolsFilter, toolsOverride = {} } = spec
  const shown = new Map<string, string>()
  for (const [original, { name, description, annotations }] of Object.entries(toolsOverride)) {
    if (name === undefined && description === undefined && annotations === undefined)
      return invalid(`spec.toolsOverride["${original}"] replaces nothing: give it a name, a description or annotations`)
    if (name === undefined) continue
    const other = shown.get(name)
    if (other !== undefined)
      return invalid(
        `spec.toolsOverride["${original}"].name is that of "${other}" too; give each tool a name of its own`,
      )
    shown.set(name, original)
  }
  // The filter names tools as they are shown: a tool under its old name is not shown at all.
  const hidden = (toolsFilter ?? []).filter((name) => {
    const renamed = toolsOverride[name]?.name
    return renamed !== undefined && renamed !== name && !shown.has(name)
  })
  const [first] = hidden
  const filtered = toolsFilter === undefined ? 'every tool is shown' : `tools that may be shown: ${toolsFilter.length}`
  const note =
    first === undefined
      ? ''
      : `; spec.toolsFilter names "${first}", which spec.toolsOverride renames, so it is not shown`
  return valid(`${filtered}; replaced: ${Object.keys(toolsOverride).length}${note}`)
}

export const toolConfig = configPlanner<MCPToolConfig>({
  kind: 'MCPToolConfig',
  finalizer: 'toolhive.stacklok.dev/toolconfig-finalizer',
  judge: judgeTools,
})
