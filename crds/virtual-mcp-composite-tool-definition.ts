// VirtualMCPCompositeToolDefinition: a composite tool that several virtual servers share.
import type * as z from 'zod'
import { CompositeTool } from './composite-tool.ts'
import { resource, toolhive } from './resource.ts'

export const VirtualMCPCompositeToolDefinition = resource(toolhive, 'VirtualMCPCompositeToolDefinition', CompositeTool)
export type VirtualMCPCompositeToolDefinition = z.infer<typeof VirtualMCPCompositeToolDefinition>
