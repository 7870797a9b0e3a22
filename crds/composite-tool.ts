// A composite tool: steps that call tools of the servers behind a virtual server, ask its caller, or repeat a step for each item.
// Whether steps, templates and dependencies fit together is for whoever runs them to say.
import * as z from 'zod'
import { Anything, filled, inCluster, list, map, Opaque, text, whole } from './bound.ts'
import { Duration } from './duration.ts'
import { old, spelt } from './spelling.ts'
import { ToolAnnotations } from './tool.ts'

const Reaction = z.strictObject({
  action: inCluster(z.enum(['skip_remaining', 'abort', 'continue']), 'abort').describe('What to do then.'),
})

const OnError = spelt(
  z.strictObject({
    action: inCluster(z.enum(['abort', 'continue', 'retry']), 'abort').describe('What to do then.'),
    retryCount: whole(0, 100).optional().describe('How often to try again.'),
    retryDelay: Duration.optional().describe('How long to wait before.'),
  }),
  { maxRetries: old(whole(0, 100), 'retryCount') },
)

const Step = z.strictObject({
  id: filled(128).describe('Name of the step, for templates and dependsOn.'),
  type: inCluster(z.enum(['tool', 'elicitation', 'forEach']), 'tool').describe('What the step does.'),
  tool: text(512).optional().describe('The tool to call, as server.tool.'),
  arguments: Opaque.optional().describe("The tool's arguments; strings may be templates."),
  condition: text(4096).optional().describe('Template; the step runs when it gives true.'),
  dependsOn: list(filled(128)).optional().describe('Steps that must end before.'),
  timeout: Duration.optional().describe('How long the step may take.'),
  onError: OnError.optional().describe('What to do when the step fails.'),
  defaultResults: Anything.optional().describe('Result of a step that was skipped or failed.'),
  message: text(16_384).optional().describe('Question for the caller.'),
  schema: Opaque.optional().describe('JSON Schema of the answer.'),
  onDecline: Reaction.optional().describe('What to do when the caller declines.'),
  onCancel: Reaction.optional().describe('What to do when the caller cancels.'),
  collection: text(4096).optional().describe('Template that gives the list to go through.'),
  itemVar: text(128).optional().describe('Name of the item in templates.'),
  step: Opaque.optional().describe('The step to do for each item.'),
  maxParallel: whole(0, 1000).optional().describe('How many items at once.'),
  maxIterations: whole(0, 100_000).optional().describe('How many items at most.'),
})

const Property = z.strictObject({
  type: z.enum(['string', 'integer', 'number', 'boolean', 'object', 'array']).describe('Type of the value.'),
  description: text(4096).optional().describe('What it is.'),
  value: text(16_384).optional().describe('Template that gives the value.'),
  default: Anything.optional().describe('Value when the template gives none.'),
  properties: Opaque.optional().describe('Fields of an object.'),
})

const Output = z.strictObject({
  properties: map(Property, 128).describe('Fields of the result.'),
  required: list(filled(253), 128).optional().describe('Fields that are always there.'),
})

const fields = {
  name: filled(128).describe('Name of the tool.'),
  description: text(16_384).optional().describe('What it does, for models.'),
  annotations: ToolAnnotations.optional().describe('Hints about it.'),
  parameters: Opaque.optional().describe("JSON Schema of the tool's arguments."),
  steps: list(Step, 128).describe('What it does.'),
  output: Output.optional().describe('Form of its result.'),
  timeout: Duration.optional().describe('How long it may take.'),
}

export const CompositeTool = spelt(z.strictObject(fields), {
  failureMode: z
    .enum(['abort', 'continue', 'best_effort'])
    .optional()
    .meta({ deprecated: true, description: 'Old form of steps[].onError.action.' }),
})
export type CompositeTool = z.infer<typeof CompositeTool>
