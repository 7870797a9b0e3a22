// Generator (e): the admin API. It works in a namespace of its own, so that the endpoints under test stay as they are.

import { bytes, compose } from './case.ts'
import type { Case, Step } from './case.ts'
import { corrupt, quote, scalar, value } from './json.ts'
import type { Random } from './random.ts'

const names = ['a', 'b', 'c', 'a.b', 'A', '', '-', 'a'.repeat(300), '__proto__', '..%2f', '%00', '\u00e9']
const kinds = [
  'MCPServerEntry',
  'MCPRemoteProxy',
  'VirtualMCPServer',
  'MCPGroup',
  'MCPOIDCConfig',
  'MCPToolConfig',
  'MCPExternalAuthConfig',
  'ToolPolicy',
] as const

/** One manifest of each kind that is right, to be made wrong. Nothing listens on port 9. */
const specs: Readonly<Record<(typeof kinds)[number], string>> = {
  MCPServerEntry:
    '{"remoteUrl":"http://127.0.0.1:9/mcp","transport":"streamable-http","allowPrivateEndpoint":true,"headerForward":{"addPlaintextHeaders":{"x-a":"b"}}}',
  MCPRemoteProxy:
    '{"remoteUrl":"http://127.0.0.1:9/mcp","transport":"sse","allowPrivateEndpoint":true,"toolConfigRef":{"name":"c"}}',
  VirtualMCPServer:
    '{"backends":[{"name":"a"},{"name":"b"}],"config":{"aggregation":{"conflictResolution":"prefix","conflictResolutionConfig":{"prefixFormat":"{workload}_"},"tools":[{"workload":"a","filter":["x"],"overrides":{"x":{"name":"y"}}}]},"operational":{"timeouts":{"default":"5s"}}}}',
  MCPGroup: '{"description":"a group"}',
  MCPOIDCConfig:
    '{"type":"inline","inline":{"issuer":"http://127.0.0.1:9","insecureAllowHTTP":true,"jwksAllowPrivateIP":true}}',
  MCPToolConfig: '{"toolsFilter":["a","b"],"toolsOverride":{"a":{"name":"b","description":"c"}}}',
  MCPExternalAuthConfig: '{"type":"bearerToken","bearerToken":{"tokenSecretRef":{"name":"a","key":"k"}}}',
  ToolPolicy: '{"targetRef":{"kind":"VirtualMCPServer","name":"a"},"rules":[{"tools":["*"],"allow":{"scopes":["x"]}}]}',
}

/** A manifest, of namespace `fuzz` or of one that cannot be, with one or two of its values replaced or left out. */
function manifest(random: Random): string {
  const kind = random.pick(kinds)
  const version =
    kind === 'ToolPolicy'
      ? 'waggle.dev/v1alpha1'
      : random.pick([
          'toolhive.stacklok.dev/v1beta1',
          'toolhive.stacklok.dev/v1beta1',
          'toolhive.stacklok.dev/v1alpha1',
        ])
  const name = random.chance(0.8) ? random.pick(['a', 'b', 'c']) : random.pick(names)
  const namespace = random.chance(0.95) ? 'fuzz' : random.pick(['', 'FUZZ', '__proto__', 'f'.repeat(100), 'fuzz/x'])
  const metadata = `{"name":${quote(name)},"namespace":${quote(namespace)}${random.pick(['', '', ',"resourceVersion":"1"', ',"annotations":{"waggle.dev/call-timeout":"1s"}', ',"labels":{"__proto__":"x"}', ',"uid":"x"'])}}`
  let text = `{"apiVersion":${quote(version)},"kind":${quote(kind)},"metadata":${metadata},"spec":${specs[kind]}}`
  for (let left = random.int(3); left > 0; left -= 1) text = alter(random, text)
  return text
}

/** Replaces, doubles or drops one value of a JSON text, wherever in it. Metadata stays, so that the namespace does. */
function alter(random: Random, text: string): string {
  const from = text.indexOf('"spec"')
  const spots = [...text.slice(from).matchAll(/:("[^"]*"|true|false|\d+)/gu)]
  if (from < 0 || spots.length === 0) return text
  const spot = random.pick(spots)
  const at = from + spot.index
  const end = at + spot[0].length
  return random.weighted([
    [4, () => `${text.slice(0, at)}:${value(random, 2)}${text.slice(end)}`],
    [
      1,
      () =>
        `${text.slice(0, end)},${quote(random.pick(['x', 'Name', '__proto__', 'spec', 'remoteUrl']))}:${scalar(random)}${text.slice(end)}`,
    ],
    [2, () => `${text.slice(0, at)}:${quote(random.pick(oddTexts))}${text.slice(end)}`],
  ])
}

const oddTexts = [
  '',
  ' ',
  'http://[',
  'file:///etc/passwd',
  'http://169.254.169.254/',
  'http://127.0.0.1:9/\u0000',
  '{workload}'.repeat(500),
  '-1s',
  '1e9h',
  '*'.repeat(300),
  '(a+)+$',
  '\ud800',
  '${x}',
  '../../a',
  'x\r\ny: z',
]

function secret(random: Random): string {
  if (random.chance(0.2)) return value(random, 3)
  const pair = (): string =>
    `${quote(random.pick(['k', 'a/b', '__proto__', '', '..', 'k'.repeat(300)]))}:${random.chance(0.7) ? quote(random.text(20)) : value(random, 1)}`
  return `{"data":{${random.many(0, 4, pair).join(',')}}${random.chance(0.1) ? ',"x":1' : ''}}`
}

function revocation(random: Random): string {
  const field = (): string =>
    random.pick([
      '"issuer":"https://id.invalid"',
      `"subject":"s${random.int(20)}"`,
      '"tokenId":"t"',
      '"seconds":1',
      '"seconds":0',
      '"seconds":1e99',
      '"seconds":"1"',
      '"subject":null',
      `"issuer":${quote('i'.repeat(3000))}`,
      `"x":${scalar(random)}`,
    ])
  return random.chance(0.4)
    ? `{"issuer":"https://id.invalid","subject":"s${random.int(20)}","seconds":${1 + random.int(60)}}`
    : `{${random.many(0, 5, field).join(',')}}`
}

const yaml =
  'apiVersion: toolhive.stacklok.dev/v1beta1\nkind: MCPGroup\nmetadata: &a {name: a, namespace: fuzz}\nspec: {x: *a, y: !!js/function "f"}\n---\n<<: *a\n'

function resources(random: Random): string {
  return random.weighted([
    [12, () => `{"resources":[${random.many(0, 3, () => manifest(random)).join(',')}]}`],
    [1, () => manifest(random)],
    [1, () => `{"resources":${value(random, 3)}}`],
    [1, () => value(random, 3)],
    [1, () => yaml],
    [2, () => corrupt(random, `{"resources":[${manifest(random)}]}`)],
    [0.1, () => `{"resources":[${`${manifest(random)},`.repeat(300)}null]}`],
    [0.05, () => `{"resources":[${'{},'.repeat(5100)}{}]}`],
  ])
}

export function admin(random: Random): Case {
  const segment = (): string =>
    encodeURI(random.chance(0.7) ? random.pick(['a', 'b', 'c']) : random.pick(names)).replaceAll('%25', '%')
  const place = (): string => `${random.chance(0.9) ? 'fuzz' : segment()}/${segment()}`
  const kind = (): string =>
    random.chance(0.9)
      ? random.pick([...kinds, 'vmcp', 'rp', 'tc'])
      : random.pick(['Pod', 'x', '__proto__', 'constructor', '%00'])
  const [method, path, body] = random.weighted<readonly [string, string, string?]>([
    [
      8,
      () => [
        'PUT',
        `resources${random.pick(['', '', '?dryRun=true', '?dryRun=x', '?dryrun=true', '?dryRun=true&dryRun=true'])}`,
        resources(random),
      ],
    ],
    [
      1,
      () => [
        'GET',
        `resources${random.pick(['', '?namespace=fuzz', '?kind=vmcp', '?kind=x', '?namespace=%ff', '?a=b', '?kind=__proto__'])}`,
      ],
    ],
    [2, () => ['GET', `resources/${kind()}/${place()}`]],
    [
      2,
      () => [
        'DELETE',
        `resources/${kind()}/${place()}${random.pick(['', '', '?resourceVersion=1', '?resourceVersion=x', '?x=1'])}`,
      ],
    ],
    [1, () => ['GET', 'secrets?namespace=fuzz']],
    [3, () => ['PUT', `secrets/${place()}`, secret(random)]],
    [1, () => ['DELETE', `secrets/${place()}`]],
    [0.3, () => ['POST', 'secrets/reseal', random.pick(['', '{}', 'x'])]],
    [1, () => ['GET', 'revocations']],
    [2, () => ['POST', 'revocations', revocation(random)]],
    [
      1,
      () => [
        'DELETE',
        `revocations?issuer=https%3A%2F%2Fid.invalid&${random.pick([`subject=s${random.int(20)}`, 'subject=%ff', 'tokenId=t', '', 'x=y', 'subject=a&subject=b'])}`,
      ],
    ],
    [
      0.3,
      () => [
        'GET',
        `audit?limit=${random.pick(['1', '10', '0', '-1', '1e9', 'x', '1001', '\u00e9'].map(encodeURIComponent))}`,
      ],
    ],
    [
      1,
      () => [
        random.pick(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']),
        random.pick([
          '',
          'x',
          'resources/',
          'resources/a',
          'secrets/a/b/c',
          '../v1/resources',
          'resources/%2e%2e/a/b',
          '%',
        ]),
        value(random, 1),
      ],
    ],
  ])
  const token = random.weighted([
    [20, () => 'Bearer {{token.admin}}'],
    [1, () => random.pick(['Bearer {{token.mcp}}', 'Bearer x', '', 'Bearer {{token.admin}}x', 'Basic YQ=='])],
  ])
  const type = random.chance(0.93)
    ? 'application/json'
    : random.pick(['application/yaml', 'text/plain', '', 'application/json;charset=utf-16', 'multipart/form-data'])
  const headers = [
    ['authorization', token],
    ['content-type', type],
  ] as const
  const step: Step = {
    send: compose({ method, path: `/admin/v1/${path}`, headers, ...(body !== undefined && { body }) }),
    clean: true,
    audits: 1,
  }
  return {
    generator: 'admin',
    steps: [
      random.chance(0.01) ? { ...step, send: step.send.replace('{{length}}', bytes('12')), ending: 'fin' } : step,
    ],
  }
}
