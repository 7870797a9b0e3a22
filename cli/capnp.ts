// Writes the configuration of a self-hosted workerd: the Worker, its Durable Objects on disk, and the two networks it may use.
// `internet` reaches public addresses only; `intranet` also private ones, never link-local or cloud metadata addresses.
// Values of variables stay out of the file: workerd takes them from its environment, where `environmentName` puts them.

import type { WorkerFacts } from './bundle.ts'

export interface Instance extends WorkerFacts {
  host: string
  port: number
  /** Module name (`worker.js` first) and its path relative to the configuration file. */
  modules: { name: string; path: string }[]
  /** Names of the text bindings. */
  variables: string[]
  /** Absolute path of the folder for Durable Objects. */
  objects: string
  /** Lets the `intranet` service reach this machine. */
  loopback: boolean
}

// "public" and "private" are workerd's words; "private" includes "local". More specific blocks win, denials win ties.
// Metadata services: AWS, GCP and Azure on 169.254.169.254, AWS on IPv6, Alibaba, Azure's wire server, and the first through NAT64.
const metadata = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254/128', '100.100.100.200/32', '64:ff9b::a9fe:0/112']
const wireServer = '168.63.129.16/32'

/** The process environment variable that carries the binding `name`. */
export function environmentName(name: string): string {
  return `WAGGLE_VAR_${name}`
}

/** The text of a workerd configuration; its one constant is `config`, its one socket `http`. */
export function configure(instance: Instance): string {
  const bindings = [
    ...instance.variables.map((name) => `(name = ${quote(name)}, fromEnvironment = ${quote(environmentName(name))})`),
    ...instance.durableObjects.map(
      ({ binding, className }) => `(name = ${quote(binding)}, durableObjectNamespace = ${quote(className)})`,
    ),
    '(name = "PRIVATE_NETWORK", service = "intranet")',
  ]
  const namespaces = instance.durableObjects.map(
    // The key names the folder of the stored objects: changing it loses them.
    ({ className, sql }) =>
      `(className = ${quote(className)}, uniqueKey = ${quote(`waggle-${className}`)}, enableSql = ${String(sql)})`,
  )
  const denied = instance.loopback ? metadata : ['local', ...metadata]
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "edge", worker = .edge),
    (name = "internet", network = (
      allow = ["public"], deny = ${list([wireServer, '64:ff9b::a9fe:0/112'].map(quote))},
      tlsOptions = (trustBrowserCas = true))),
    (name = "intranet", network = (
      allow = ["public", "private"], deny = ${list([...denied, wireServer].map(quote))},
      tlsOptions = (trustBrowserCas = true))),
    (name = "objects", disk = (path = ${quote(instance.objects)}, writable = true)),
  ],
  sockets = [(name = "http", address = ${quote(address(instance.host, instance.port))}, http = (), service = "edge")],
);

const edge :Workerd.Worker = (
  modules = ${list(instance.modules.map(module))},
  compatibilityDate = ${quote(instance.compatibilityDate)},
  compatibilityFlags = ${list(instance.compatibilityFlags.map(quote))},
  bindings = ${list(bindings)},
  durableObjectNamespaces = ${list(namespaces)},
  durableObjectStorage = (localDisk = "objects"),
  globalOutbound = "internet",
);
`
}

function module({ name, path }: { name: string; path: string }): string {
  const kind = name.endsWith('.js') || name.endsWith('.mjs') ? 'esModule' : name.endsWith('.wasm') ? 'wasm' : 'data'
  return `(name = ${quote(name)}, ${kind} = embed ${quote(path)})`
}

/** `host:port` as workerd's sockets and URLs spell it. */
export function address(host: string, port: number): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]:${port}` : `${host}:${port}`
}

function list(items: string[]): string {
  return items.length === 0 ? '[]' : `[\n    ${items.join(',\n    ')},\n  ]`
}

/** A Cap'n Proto string literal: everything but printable ASCII travels as bytes. */
export function quote(text: string): string {
  let literal = '"'
  for (const byte of new TextEncoder().encode(text)) {
    const char = String.fromCharCode(byte)
    if (char === '"' || char === '\\') literal += `\\${char}`
    else if (byte >= 0x20 && byte < 0x7f) literal += char
    else literal += `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return `${literal}"`
}
