// From a kind to its CustomResourceDefinition.
import type * as z from 'zod'
import { kinds, type Kind } from '../kinds.ts'
import { structural, type Structural } from './structural.ts'
import { published, type Published } from './published.ts'

export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1'
  readonly kind: 'CustomResourceDefinition'
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly group: string
    readonly scope: 'Namespaced'
    readonly names: Readonly<Record<string, string | readonly string[]>>
    readonly versions: readonly Version[]
  }
}

interface Version {
  readonly name: string
  readonly served: true
  readonly storage: boolean
  readonly deprecated?: true
  readonly deprecationWarning?: string
  readonly additionalPrinterColumns: Published['columns']
  readonly selectableFields?: readonly { readonly jsonPath: string }[]
  readonly subresources: { readonly status: Readonly<Record<string, never>> }
  readonly schema: { readonly openAPIV3Schema: Structural }
}

/** The CustomResourceDefinition of `kind`. All of its versions have the same schema, so nothing ever needs a conversion. */
export function crd(kind: Kind): CustomResourceDefinition {
  const { plural, singular, shortNames, apiVersion } = kinds[kind]
  const source = published(kind)
  const group = apiVersion.slice(0, apiVersion.indexOf('/'))
  const schema = rootSchema(kind, source)
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular,
        shortNames,
        categories: ['toolhive'],
      },
      versions: source.versions.map(({ name, storage, deprecated }) => ({
        name,
        served: true,
        storage: storage === true,
        ...(deprecated === undefined ? {} : { deprecated: true, deprecationWarning: deprecated }),
        additionalPrinterColumns: source.columns,
        ...(source.selectable.length === 0
          ? {}
          : { selectableFields: source.selectable.map((jsonPath) => ({ jsonPath })) }),
        subresources: { status: {} },
        schema: { openAPIV3Schema: schema },
      })),
    },
  }
}

/** The schema of a whole object of `kind`, the same for all versions. */
export function rootSchema(kind: Kind, source: Published = published(kind)): Structural {
  return {
    type: 'object',
    description: source.summary,
    ...(isRequired(source.written) ? { required: ['spec'] } : {}),
    properties: {
      apiVersion: { type: 'string', description: 'Group and version of the schema that this object is written in.' },
      kind: { type: 'string', description: `Always ${kind}.` },
      metadata: { type: 'object' },
      spec: { description: `What the ${kind} shall be.`, ...structural(source.written, `${kind}.spec`) },
      status: { description: 'What its operator found and did.', ...structural(source.status, `${kind}.status`) },
    },
  }
}

function isRequired(schema: z.ZodType): boolean {
  return !schema.safeParse(undefined).success
}
