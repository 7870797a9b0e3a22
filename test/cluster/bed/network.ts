// The wiring: one bridge for the outside world, and for each cluster a network namespace with one link to it and no default route.
import { existsSync } from 'node:fs'
import { bridge, rules } from './plan.ts'
import type { Cluster } from './plan.ts'
import { attempt, run } from './shell.ts'

export const namespace = (c: Cluster): string => `/run/netns/${c.id}`

export function plug(c: Cluster): void {
  if (!existsSync(`/sys/class/net/${bridge.name}`)) {
    run(['ip', 'link', 'add', bridge.name, 'type', 'bridge'])
    run(['ip', 'address', 'add', `${bridge.address}/24`, 'dev', bridge.name])
    run(['ip', 'link', 'set', bridge.name, 'up'])
  }
  const inside = ['ip', '-n', c.id]
  run(['ip', 'netns', 'add', c.id])
  run(['ip', 'link', 'add', c.id, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', c.id])
  run(['ip', 'link', 'set', c.id, 'master', bridge.name, 'up'])
  run([...inside, 'address', 'add', `${c.address}/24`, 'dev', 'eth0'])
  run([...inside, 'link', 'set', 'eth0', 'up'])
  run([...inside, 'link', 'set', 'lo', 'up'])
  run([...inside, 'route', 'add', c.services, 'dev', 'eth0']) // for the node's own connections: the output hook translates only what has a route
  run(['nsenter', `--net=${namespace(c)}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1'])
  guard(c, true)
}

/** Removes the cluster's link and namespace, and the bridge with the last cluster. */
export function unplug(c: Cluster): void {
  attempt(['ip', 'link', 'delete', c.id])
  attempt(['ip', 'netns', 'delete', c.id])
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
export function inhabitants(c: Cluster): number[] {
  return existsSync(namespace(c)) ? run(['ip', 'netns', 'pids', c.id]).split('\n').filter(Boolean).map(Number) : []
}
