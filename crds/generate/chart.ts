// A CustomResourceDefinition as a template of the chart waggle-crds: among the templates, because Helm never upgrades what lies in
// a folder `crds`.
import { stringify } from 'yaml'
import type { CustomResourceDefinition } from './crd.ts'

/** The template: installed unless `crds.install` is false, and kept when the chart is uninstalled unless `crds.keep` is false. */
export function template(crd: CustomResourceDefinition): string {
  const { metadata, spec, ...kind } = crd
  return [
    '{{- if .Values.crds.install }}\n',
    text(kind),
    'metadata:\n',
    `  name: ${metadata.name}\n`,
    '  {{- if .Values.crds.keep }}\n',
    '  annotations:\n',
    '    helm.sh/resource-policy: keep\n',
    '  {{- end }}\n',
    text({ spec }),
    '{{- end }}\n',
  ].join('')
}

function text(value: unknown): string {
  const yaml = stringify(value, { lineWidth: 0, aliasDuplicateObjects: false, singleQuote: true })
  return yaml.replaceAll('{{', '{{ "{{" }}')
}
