// What the two clusters and the edge are furnished with: the article's manifests, each cluster's own Secrets, a vendor's server at the edge, and
// one virtual server there that mixes them all.

import { EDGE_URL } from './edge.ts'
import { NAMESPACE, manifest, type Scene, type Site } from './scene.ts'

/** Of the virtual server that mixes them. */
export const ENDPOINT = `${EDGE_URL}/${NAMESPACE}/global/mcp`
/** The environment variable that holds the Secret of grafana, in each cluster another: the cluster's name. */
export const VARIABLE = 'GRAFANA_SERVICE_ACCOUNT_TOKEN'
/** Who is in it may use what runs in `prod`; everybody may use `dev`. */
export const OPERATORS = 'operators'

export function server(name: string, image: string, secrets: readonly object[] = []) {
  return manifest('MCPServer', name, { image, transport: 'streamable-http', secrets })
}

/** Applies all of it; things are ready some time later. */
export async function furnish({ edge, sites: { dev, prod } }: Scene): Promise<void> {
  const secret = (site: Site, name: string) =>
    site.kubectl(['create', 'secret', 'generic', name, '-n', NAMESPACE, `--from-literal=token=${site.name}`])
  await Promise.all([secret(dev, 'grafana-token'), secret(prod, 'grafana-token'), secret(dev, 'github-token')])
  const token = { name: 'github-token', key: 'token', targetEnvName: 'GITHUB_PERSONAL_ACCESS_TOKEN' }
  await Promise.all([
    dev.apply(
      'seed/grafana.yaml',
      'seed/linear.yaml',
      'seed/platform-tools-vmcp.yaml',
      server('github', 'ghcr.io/github/github-mcp-server:latest', [token]),
    ),
    prod.apply('seed/grafana.yaml'),
  ])
  const backends = ['grafana', 'github', 'osv', 'kubernetes', 'tracker'].map((name) => ({ name }))
  const remoteUrl = 'https://mcp.linear.app/mcp'
  await edge.apply([
    manifest('MCPServerEntry', 'tracker', { remoteUrl, transport: 'streamable-http', allowPrivateEndpoint: true }),
    manifest('VirtualMCPServer', 'global', { backends }),
    {
      apiVersion: 'waggle.dev/v1alpha1',
      kind: 'ToolPolicy',
      metadata: { name: 'places', namespace: NAMESPACE },
      spec: {
        targetRef: { kind: 'MCPServer', name: 'grafana' },
        rules: [
          { tools: ['*'], trustHints: true },
          { tools: ['*'], clusters: ['dev'] },
          { tools: ['*'], groups: [OPERATORS], clusters: ['dev', 'prod'] },
        ],
      },
    },
  ])
}
