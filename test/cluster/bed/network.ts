// The wiring: one bridge for the outside world, and for each cluster a network namespace with one link to it and no default route.
import { existsSync } from 'node:fs'
import { bridge, rules } from './plan.ts'
import type { Cluster } from './plan.ts'
import { attempt, run } from './shell.ts'

export const namespace = (c: Place): string => `/run/netns/${c.id}`

/** What has a network namespace of its own and one link to the bridge. */
export type Place = Pick<Cluster, 'id' | 'address'>

/** Gives a cluster its namespace and its link, closed to the bridge. */
export function plug(c: Cluster): void {
  settle(c)
  run(['ip', '-n', c.id, 'route', 'add', c.services, 'dev', 'eth0']) // for the node's own connections: the output hook translates only what has a route
  run(['nsenter', `--net=${namespace(c)}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1'])
  guard(c, true)
}

/** A namespace with a link to the bridge, open to it. */
export function settle({ id, address }: Place): void {
  if (!existsSync(`/sys/class/net/${bridge.name}`)) {
    run(['ip', 'link', 'add', bridge.name, 'type', 'bridge'])
    run(['ip', 'address', 'add', `${bridge.address}/24`, 'dev', bridge.name])
    run(['ip', 'link', 'set', bridge.name, 'up'])
  }
  const inside = ['ip', '-n', id]
  run(['ip', 'netns', 'add', id])
  run(['ip', 'link', 'add', id, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', id])
  run(['ip', 'link', 'set', id, 'master', bridge.name, 'up'])
  run([...inside, 'address', 'add', `${address}/24`, 'dev', 'eth0'])
  run([...inside, 'link', 'set', 'eth0', 'up'])
  run([...inside, 'link', 'set', 'lo', 'up'])
}

/** Removes a link and its namespace, and the bridge with the last of them. */
export function unplug({ id }: Place): void {
  attempt(['ip', 'link', 'delete', id])
  attempt(['ip', 'netns', 'delete', id])
  if (existsSync(`/sys/class/net/${bridge.name}`) && run(['ip', 'link', 'show', 'master', bridge.name]) === '')
    run(['ip', 'link', 'delete', bridge.name])
}

/** Closes the cluster to connections from the bridge, or opens it. */
export function guard(c: Cluster, closed: boolean): void {
  run(['nsenter', `--net=${namespace(c)}`, 'nft', '-f', '-'], { input: rules(c, closed) })
}

/** Cuts the cluster off from the bridge, in both directions and without a word to either side, or heals the cut. */
export function cut(c: Cluster, off: boolean): void {
  run(['ip', 'link', 'set', c.id, off ? 'down' : 'up'])
}

/** Every process in the cluster's namespace: its programs, not its pods, which have namespaces of their own. */
export function inhabitants(c: Place): number[] {
  return existsSync(namespace(c)) ? run(['ip', 'netns', 'pids', c.id]).split('\n').filter(Boolean).map(Number) : []
}
