import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { structural } from './structural.ts'

const bounded = z.string().max(10)

test('what the API server could not hold a manifest to is refused, with its path', () => {
  const cases: [schema: z.ZodType, message: RegExp][] = [
    [z.object({ a: z.union([bounded, z.boolean()]) }), /^Error: spec\.a: a union is not structural/],
    [z.object({ a: z.array(z.unknown()).max(3) }), /^Error: spec\.a\[\]: has no type/],
    [z.object({ a: z.string() }), /^Error: spec\.a: text needs a maximum/],
    [z.object({ a: z.array(bounded) }), /^Error: spec\.a: a list needs a maximum/],
    [z.object({ a: z.record(z.string(), bounded) }), /^Error: spec\.a: a map needs a maximum/],
    [z.object({ a: bounded.regex(/^(?!x)/) }), /^Error: spec\.a: RE2 does not know/],
    [z.object({ a: bounded.regex(/^(.)\1$/) }), /^Error: spec\.a: RE2 does not know/],
    [z.object({ a: z.tuple([bounded, bounded]) }), /^Error: spec\.a: a tuple is not structural/],
  ]
  for (const [schema, message] of cases) assert.throws(() => structural(schema, 'spec'), message)
})

test('a schema becomes what a CustomResourceDefinition holds', () => {
  const schema = z
    .strictObject({
      port: z.int().min(1).max(65_535).default(8080).describe('The port.'),
      count: z.int(),
      mode: z.literal('on').optional(),
      size: z.union([z.int(), z.string()]).meta({ 'x-kubernetes-int-or-string': true }).optional(),
      rest: z.looseObject({}).meta({ 'x-kubernetes-preserve-unknown-fields': true }).optional(),
      marks: z.record(z.string(), bounded).meta({ maxProperties: 4 }).optional(),
      items: z
        .array(z.strictObject({ name: bounded }))
        .max(3)
        .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
    })
    .meta({ 'x-kubernetes-validations': [{ rule: 'self.count > 0', message: 'count must be positive' }] })
  assert.deepEqual(structural(schema, 'spec'), {
    type: 'object',
    required: ['count', 'items'],
    properties: {
      port: { type: 'integer', format: 'int32', description: 'The port.', default: 8080, minimum: 1, maximum: 65_535 },
      count: { type: 'integer', format: 'int64' },
      mode: { type: 'string', enum: ['on'] },
      size: { 'x-kubernetes-int-or-string': true },
      rest: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      marks: { type: 'object', maxProperties: 4, additionalProperties: { type: 'string', maxLength: 10 } },
      items: {
        type: 'array',
        maxItems: 3,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        items: { type: 'object', required: ['name'], properties: { name: { type: 'string', maxLength: 10 } } },
      },
    },
    'x-kubernetes-validations': [{ rule: 'self.count > 0', message: 'count must be positive' }],
  })
})
