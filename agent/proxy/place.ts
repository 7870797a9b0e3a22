// Where a proxy finds what it runs with, from its environment: files in its pod, ports, and the object to watch.

import { INTERNAL_PORT } from '../../plan/address.ts'
import { reading, type Environment } from '../environment.ts'
import { places } from '../run-config.ts'

const MAX_SECONDS = 3600

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
export function placeOf(environment: Environment): Place {
  const { text, number, port } = reading(environment)
  const name = text('WAGGLE_CONFIG_MAP')
  const namespace = text('POD_NAMESPACE')
  if (name !== undefined && namespace === undefined)
    throw new Error('POD_NAMESPACE: must be set with WAGGLE_CONFIG_MAP')
  return {
    config: text('WAGGLE_CONFIG_FOLDER') ?? places.config,
    secrets: text('WAGGLE_SECRETS_FOLDER') ?? places.secrets,
    keys: text('WAGGLE_KEYS_FOLDER') ?? places.keys,
    host: text('WAGGLE_LISTEN_ADDRESS'),
    internalPort: port('WAGGLE_INTERNAL_PORT', INTERNAL_PORT),
    configMap: name === undefined || namespace === undefined ? undefined : { namespace, name },
    graceMs: number('WAGGLE_GRACE_SECONDS', 5, MAX_SECONDS) * 1000,
    drainMs: number('WAGGLE_DRAIN_SECONDS', 20, MAX_SECONDS) * 1000,
  }
}
