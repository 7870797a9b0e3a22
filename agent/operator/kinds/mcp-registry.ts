// MCPRegistry: a catalogue of servers, deprecated by ToolHive itself. It is accepted and nothing runs for it, which its status
// says instead of letting somebody wait.

import type { MCPRegistry } from '../../../crds/mcp-registry.ts'
import type { Planner } from '../kind.ts'
import { plan, stuck, yes } from './condition.ts'

const MESSAGE =
  'MCPRegistry is deprecated and not served here: install the registry server with its own chart, toolhive-registry-server, and delete this resource'

export const registry: Planner<MCPRegistry> = {
  kind: 'MCPRegistry',
  plan() {
    return plan({
      conditions: [...stuck('Deprecated', MESSAGE), yes('Deprecated', 'UseRegistryServerChart', MESSAGE)],
      status: { phase: 'Failed', message: MESSAGE, readyReplicas: 0 },
    })
  },
}
