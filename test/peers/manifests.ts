// The resources that tests apply, as short as they can be written.

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly spec: Readonly<Record<string, unknown>>
}

type Spec = Readonly<Record<string, unknown>>

/** Any resource of the ToolHive group in namespace `test`. */
export function manifest(kind: string, name: string, spec: Spec, annotations?: Record<string, string>): Manifest {
  return {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind,
    metadata: { name, namespace: 'test', ...(annotations && { annotations }) },
    spec,
  }
}

/** A backend on loopback. */
export function entry(name: string, remoteUrl: string, spec: Spec = {}): Manifest {
  return manifest('MCPServerEntry', name, {
    remoteUrl,
    transport: 'streamable-http',
    allowPrivateEndpoint: true,
    ...spec,
  })
}

/** A virtual server of these backends whose tools keep their own names. */
export function virtual(
  name: string,
  backends: readonly string[],
  spec: Spec = {},
  annotations?: Record<string, string>,
): Manifest {
  const aggregation = { conflictResolution: 'prefix', conflictResolutionConfig: { prefixFormat: '' } }
  return manifest(
    'VirtualMCPServer',
    name,
    { backends: backends.map((backend) => ({ name: backend })), config: { aggregation }, ...spec },
    annotations,
  )
}

/** An issuer on loopback. */
export function oidc(name: string, issuer: string, inline: Spec = {}, annotations?: Record<string, string>): Manifest {
  const spec = { issuer, insecureAllowHTTP: true, jwksAllowPrivateIP: true, ...inline }
  return manifest('MCPOIDCConfig', name, { type: 'inline', inline: spec }, annotations)
}

/** Rules for the tools of a virtual server. */
export function policy(name: string, target: string, rules: readonly Spec[]): Manifest {
  return {
    apiVersion: 'waggle.dev/v1alpha1',
    kind: 'ToolPolicy',
    metadata: { name, namespace: 'test' },
    spec: { targetRef: { kind: 'VirtualMCPServer', name: target }, rules },
  }
}
