// Where a proxy finds what it runs with, from its environment: files in its pod, ports, and the object to watch.

import { INTERNAL_PORT } from '../../plan/address.ts'
import { places } from '../run-config.ts'

export interface Place {
  /** Folders of the run config, the secrets and the keys. */
  readonly config: string
  readonly secrets: string
  readonly keys: string
  /** Address to listen on; undefined: all of the pod's. */
  readonly host: string | undefined
  readonly internalPort: number
  /** The ConfigMap that the run config comes from; undefined: the file alone says. */
  readonly configMap: { readonly namespace: string; readonly name: string } | undefined
  /** How long calls still arrive after a pod was told to end, and how long those under way may take then. */
  readonly graceMs: number
  readonly drainMs: number
}

/** Throws an Error that names the variable. */
export function placeOf(environment: NodeJS.ProcessEnv): Place {
  const text = (name: string): string | undefined => {
    const value = environment[name]
    return value === undefined || value === '' ? undefined : value
  }
  const number = (name: string, fallback: number): number => {
    const value = Number(text(name) ?? fallback)
    if (!Number.isFinite(value) || value < 0) throw new Error(`${name} must be a number that is not negative`)
    return value
  }
  const name = text('WAGGLE_CONFIG_MAP')
  const namespace = text('POD_NAMESPACE')
  if (name !== undefined && namespace === undefined) throw new Error('POD_NAMESPACE must be set with WAGGLE_CONFIG_MAP')
  return {
    config: text('WAGGLE_CONFIG_FOLDER') ?? places.config,
    secrets: text('WAGGLE_SECRETS_FOLDER') ?? places.secrets,
    keys: text('WAGGLE_KEYS_FOLDER') ?? places.keys,
    host: text('WAGGLE_LISTEN_ADDRESS'),
    internalPort: number('WAGGLE_INTERNAL_PORT', INTERNAL_PORT),
    configMap: name === undefined || namespace === undefined ? undefined : { namespace, name },
    graceMs: number('WAGGLE_GRACE_SECONDS', 5) * 1000,
    drainMs: number('WAGGLE_DRAIN_SECONDS', 20) * 1000,
  }
}
