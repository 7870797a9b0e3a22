// The admin's decisions, from the environment that the chart renders. Every error names its variable.

import { badItems } from '../allow-list.ts'
import { reading, type Environment } from '../environment.ts'
import type { Settings } from './settings.ts'

/** Classes of what a podTemplateSpec may ask for. */
const allowances = ['hostNamespaces', 'privileged', 'hostPath', 'serviceAccount']
const pullPolicies = ['Always', 'IfNotPresent', 'Never']

/** Reads the settings. Throws an Error that names the variable and what it must be. */
export function readSettings(environment: Environment): Settings {
  const { text, required, list, flag } = reading(environment)
  const some = (name: string, of: readonly string[]): readonly string[] => {
    const wrong = list(name).find((item) => !of.includes(item))
    if (wrong !== undefined) throw new Error(`${name}: must be a list of ${of.join(', ')}`)
    return list(name)
  }
  const image = required('WAGGLE_IMAGE')
  const [badHost] = badItems(list('WAGGLE_EGRESS_ALLOW'))
  if (badHost !== undefined)
    throw new Error(
      `WAGGLE_EGRESS_ALLOW: "${badHost.slice(0, 64)}" is no host name, *.domain, address or range such as 10.0.0.0/8`,
    )
  const imagePullPolicy = text('WAGGLE_IMAGE_PULL_POLICY') ?? 'IfNotPresent'
  if (!pullPolicies.includes(imagePullPolicy))
    throw new Error(`WAGGLE_IMAGE_PULL_POLICY: must be one of ${pullPolicies.join(', ')}`)
  const namespaces = list('WATCH_NAMESPACE')
  return {
    namespace: required('POD_NAMESPACE'),
    namespaces: namespaces.length === 0 ? undefined : namespaces,
    cluster: text('WAGGLE_CLUSTER') ?? 'in-cluster',
    image,
    virtualImage: text('WAGGLE_VMCP_IMAGE') ?? image,
    imagePullPolicy,
    imagePullSecrets: list('WAGGLE_IMAGE_PULL_SECRETS'),
    defaultOidcConfig: oidcConfig(text('WAGGLE_DEFAULT_OIDC_CONFIG'), text('WAGGLE_DEFAULT_OIDC_AUDIENCE')),
    requireAuthentication: flag('WAGGLE_REQUIRE_AUTHENTICATION', false),
    defaultRedis: redis(
      text('WAGGLE_DEFAULT_REDIS_ADDRESS'),
      text('WAGGLE_DEFAULT_REDIS_SECRET'),
      text('WAGGLE_DEFAULT_REDIS_SECRET_KEY'),
    ),
    egressAllow: list('WAGGLE_EGRESS_ALLOW'),
    extraCaConfigMap: text('WAGGLE_EXTRA_CA_CONFIGMAP'),
    edge: edge(text),
    podTemplateAllow: new Set(some('WAGGLE_POD_TEMPLATE_ALLOW', allowances)),
    networkPolicies: flag('WAGGLE_NETWORK_POLICIES', true),
    metricsNamespaces: list('WAGGLE_METRICS_NAMESPACES'),
    podDisruptionBudgets: flag('WAGGLE_POD_DISRUPTION_BUDGETS', false),
    topologySpread: flag('WAGGLE_TOPOLOGY_SPREAD', false),
    rollOnSecretChange: flag('WAGGLE_ROLL_ON_SECRET_CHANGE', false),
    openshift: flag('WAGGLE_OPENSHIFT', false),
    takeOver: flag('WAGGLE_TAKE_OVER', false),
  }
}

function oidcConfig(place: string | undefined, audience: string | undefined): Settings['defaultOidcConfig'] {
  if (place === undefined) return undefined
  const [namespace = '', name = '', ...more] = place.split('/')
  if (namespace === '' || name === '' || more.length > 0)
    throw new Error('WAGGLE_DEFAULT_OIDC_CONFIG: must be <namespace>/<name> of an MCPOIDCConfig')
  return { namespace, name, audience }
}

function edge(text: (name: string) => string | undefined): Settings['edge'] {
  const url = text('WAGGLE_EDGE_URL')
  if (url === undefined) return undefined
  // Whoever can change what is fetched there can speak for every caller.
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:' || /[?#]|\/$/.test(url))
    throw new Error('WAGGLE_EDGE_URL: must be an https URL without query, and without a slash at its end')
  return {
    url,
    keysConfigMap: text('WAGGLE_EDGE_KEYS_CONFIGMAP') ?? 'waggle-agent-edge-keys',
    uplinkKeysConfigMap: text('WAGGLE_UPLINK_KEYS_CONFIGMAP') ?? 'waggle-agent-uplink-keys',
  }
}

function redis(
  address: string | undefined,
  name: string | undefined,
  key: string | undefined,
): Settings['defaultRedis'] {
  if (address === undefined) return undefined
  if (!/^[^\s:]+:\d{1,5}$/.test(address)) throw new Error('WAGGLE_DEFAULT_REDIS_ADDRESS: must be <host>:<port>')
  return { address, secret: name === undefined ? undefined : { name, key: key ?? 'redis-password' } }
}
