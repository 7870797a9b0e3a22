// The plan of a cluster: every name, address, configuration file and command line, decided from its letter alone. Nothing here touches the machine.
import { join } from 'node:path'

/** Where a test puts the world outside the clusters. Pods reach it by the address or by any name in the domain `test`, such as edge.test. */
export const bridge = { name: 'wgl0', address: '10.100.0.1', subnet: '10.100.0.0/24' }

/** The domains that pods find at the bridge's address: all names below `test` (RFC 6761), and the one vendor that manifests of the tests name. */
export const outside = ['test', 'mcp.linear.app']

export const images = {
  pause: 'testbed.example/pause:1',
  coredns: 'testbed.example/coredns:1',
  node: 'testbed.example/node:24',
}

export type Cluster = ReturnType<typeof cluster>

/** `name` is one letter; the machine's address plan has room for 26 clusters. */
export function cluster(name: string) {
  if (!/^[a-z]$/.test(name)) throw new Error(`a cluster's name is one letter, not ${JSON.stringify(name)}`)
  const index = name.charCodeAt(0) - 96
  const services = `10.${200 + index}.0`
  return {
    name,
    id: `wgl-${name}`, // network namespace, host end of the link, cgroup
    node: `node-${name}`,
    dir: join(process.env.TESTBED_DIR ?? '/var/tmp/testbed', name),
    address: `10.100.0.${1 + index}`,
    pods: `10.${100 + index}.0.0/24`,
    services: `${services}.0/24`,
    kubernetes: `${services}.1`,
    dns: `${services}.10`,
    port: 6440 + index, // the API server's, on the host's loopback
  }
}

export const users = {
  admin: ['admin', 'system:masters'],
  controllers: ['system:kube-controller-manager', ''],
  scheduler: ['system:kube-scheduler', ''],
  proxy: ['system:kube-proxy', ''],
  kubelet: ['system:node:', 'system:nodes'],
} as const
export type User = keyof typeof users

export type Secrets = { ca: string; tokens: Record<User, string> }

/** The configuration files, by path below the cluster's directory. */
export function files(c: Cluster, secrets: Secrets): Record<string, string> {
  const kubeconfig = (user: User, server: string) =>
    json({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: c.name, cluster: { server, 'certificate-authority-data': Buffer.from(secrets.ca).toString('base64') } },
      ],
      users: [{ name: user, user: { token: secrets.tokens[user] } }],
      contexts: [{ name: c.name, context: { cluster: c.name, user } }],
      'current-context': c.name,
    })
  const inside = (user: User) => kubeconfig(user, 'https://127.0.0.1:6443')
  const tokens = Object.entries(users).map(([user, [name, group]]) =>
    [secrets.tokens[user as User], user === 'kubelet' ? name + c.node : name, user, JSON.stringify(group)].join(','),
  )
  return {
    kubeconfig: kubeconfig('admin', `https://127.0.0.1:${c.port}`),
    'etc/controllers.kubeconfig': inside('controllers'),
    'etc/scheduler.kubeconfig': inside('scheduler'),
    'etc/proxy.kubeconfig': inside('proxy'),
    'etc/kubelet.kubeconfig': inside('kubelet'),
    'etc/tokens.csv': tokens.join('\n') + '\n',
    'etc/resolv.conf': '',
    'etc/kubelet.json': json({
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      authentication: {
        anonymous: { enabled: false },
        webhook: { enabled: true },
        x509: { clientCAFile: join(c.dir, 'etc/ca.crt') },
      },
      authorization: { mode: 'Webhook' },
      containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
      cgroupDriver: 'cgroupfs',
      cgroupRoot: `/${c.id}`,
      failCgroupV1: false,
      failSwapOn: false,
      oomScoreAdj: 0, // lowering it takes CAP_SYS_RESOURCE
      clusterDomain: 'cluster.local',
      clusterDNS: [c.dns],
      resolvConf: join(c.dir, 'etc/resolv.conf'),
      volumePluginDir: join(c.dir, 'etc/volume-plugins'),
      evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
      imageGCHighThresholdPercent: 100,
      volumeStatsAggPeriod: '-1s',
      shutdownGracePeriod: '0s',
    }),
    'etc/proxy.json': json({
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode: 'nftables',
      hostnameOverride: c.node,
      clientConnection: { kubeconfig: join(c.dir, 'etc/proxy.kubeconfig') },
      clusterCIDR: c.pods,
      detectLocalMode: 'ClusterCIDR',
      conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' }, // the sysctls belong to the host's namespace
      oomScoreAdj: 0,
    }),
    'etc/cni/pods.conflist': json({
      cniVersion: '0.4.0',
      name: 'pods',
      // Routed, not bridged: traffic between two pods passes the forward hook, where Services and policies see it, without br_netfilter.
      plugins: [{ type: 'ptp', ipam: { type: 'host-local', subnet: c.pods, routes: [{ dst: '0.0.0.0/0' }] } }],
    }),
    'etc/registries/_default/hosts.toml': '[host."http://127.0.0.1:5000"]\n', // the gate, for every registry
    'etc/containerd.toml': `version = 2
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${images.pause}"
  restrict_oom_score_adj = true # lowering it takes CAP_SYS_RESOURCE
  stats_collect_period = 3600
  registry.config_path = "${join(c.dir, 'etc/registries')}"
  cni = { bin_dir = "/usr/lib/cni", conf_dir = "${join(c.dir, 'etc/cni')}" }
  containerd.runtimes.runc = { runtime_type = "io.containerd.runc.v2" }
`,
  }
}

export const programs = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kube-proxy',
  'containerd',
  'kubelet',
  'gate',
  'enforce',
] as const
export type Program = (typeof programs)[number]

/** The command line of every program of a cluster. `kube` and `node` are binaries, `here` this folder, `store` the image store. */
export function commands(
  c: Cluster,
  kube: string,
  node: string,
  here: string,
  store: string,
): Record<Program, string[]> {
  const etc = (name: string) => join(c.dir, 'etc', name)
  return {
    etcd: [kube, 'etcd', join(c.dir, 'lib/etcd')],
    'kube-apiserver': [
      kube,
      'kube-apiserver',
      '--etcd-servers=http://127.0.0.1:2379',
      `--advertise-address=${c.address}`,
      `--service-cluster-ip-range=${c.services}`,
      `--tls-cert-file=${etc('api.crt')}`,
      `--tls-private-key-file=${etc('api.key')}`,
      `--client-ca-file=${etc('ca.crt')}`,
      `--token-auth-file=${etc('tokens.csv')}`,
      `--kubelet-client-certificate=${etc('api.crt')}`,
      `--kubelet-client-key=${etc('api.key')}`,
      '--kubelet-preferred-address-types=InternalIP',
      `--service-account-signing-key-file=${etc('sa.key')}`,
      `--service-account-key-file=${etc('sa.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--enable-priority-and-fairness=false',
      '--allow-privileged',
    ],
    'kube-controller-manager': [
      kube,
      'kube-controller-manager',
      `--kubeconfig=${etc('controllers.kubeconfig')}`,
      `--root-ca-file=${etc('ca.crt')}`,
      `--service-account-private-key-file=${etc('sa.key')}`,
      '--use-service-account-credentials',
      '--kube-api-qps=500', // at 20, the start alone takes four seconds
      '--kube-api-burst=1000',
      '--leader-elect=false',
      '--node-monitor-grace-period=20s',
    ],
    'kube-scheduler': [kube, 'kube-scheduler', `--kubeconfig=${etc('scheduler.kubeconfig')}`, '--leader-elect=false'],
    'kube-proxy': [kube, 'kube-proxy', `--config=${etc('proxy.json')}`],
    containerd: ['containerd', `--config=${etc('containerd.toml')}`],
    kubelet: [
      kube,
      'kubelet',
      `--config=${etc('kubelet.json')}`,
      `--kubeconfig=${etc('kubelet.kubeconfig')}`,
      `--hostname-override=${c.node}`,
      `--node-ip=${c.address}`,
      '--housekeeping-interval=1m',
    ],
    gate: [node, join(here, 'gate.ts'), store],
    enforce: [node, join(here, 'enforce.ts'), etc('controllers.kubeconfig')],
  }
}

/** The packet rules of a cluster's namespace. A closed cluster can dial out, and nothing on the bridge can open a connection, or even ping, into it. */
export function rules(c: Cluster, closed: boolean): string {
  return `table inet testbed
delete table inet testbed
table inet testbed {
  chain gate { type filter hook prerouting priority mangle; ${closed ? 'iifname "eth0" ct state new reject' : ''}; }
  chain leave { type nat hook postrouting priority srcnat; ip saddr ${c.pods} oifname "eth0" masquerade; }
}
`
}

const json = (value: unknown) => JSON.stringify(value, undefined, 1) + '\n'
