// The process that keeps a cluster's packet rules as its NetworkPolicies say, run inside its network namespace. When it cannot see the API server,
// the rules stay as they are.
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { readAccess } from './api.ts'
import { render } from './policy.ts'
import type { Namespace, Pod, Policy } from './policy.ts'
import { run } from './shell.ts'

const { server, ca, token } = readAccess(process.argv[2] ?? '')

const get = (path: string): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` }
    const asked = request(new URL(path, server), { headers, ca, agent: false }, (response) => {
      if (response.statusCode === 200) resolve(response)
      else reject(new Error(`${path}: ${response.statusCode}`))
    })
    asked.on('error', reject).end()
  })

interface Kept {
  metadata: { uid: string }
}

/** Follows a collection for ever: lists it, watches from there, and lists again when the watch ends. */
async function follow(path: string, changed: (items: unknown[]) => void): Promise<never> {
  for (;;) {
    try {
      const list = JSON.parse(await text(await get(path))) as { items: Kept[]; metadata: { resourceVersion: string } }
      const items = new Map(list.items.map((item) => [item.metadata.uid, item]))
      changed([...items.values()])
      let rest = ''
      const watch = await get(`${path}?watch=1&resourceVersion=${list.metadata.resourceVersion}`)
      for await (const chunk of watch.setEncoding('utf8')) {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) keep(items, line)
        changed([...items.values()])
      }
    } catch (error) {
      console.error(String(error))
    }
    await sleep(500)
  }
}

function keep(items: Map<string, Kept>, line: string): void {
  const { type, object } = JSON.parse(line) as { type: string; object: Kept & { message?: string } }
  if (type === 'ERROR') throw new Error(object.message)
  if (type === 'DELETED') items.delete(object.metadata.uid)
  else items.set(object.metadata.uid, object)
}

let policies: Policy[] | undefined
let pods: Pod[] | undefined
let namespaces: Namespace[] | undefined
let loaded = ''

function load(): void {
  if (policies === undefined || pods === undefined || namespaces === undefined) return
  const rules = render(policies, pods, namespaces)
  if (rules === loaded) return
  run(['nft', '-f', '-'], { input: rules })
  loaded = rules
}

void follow('/apis/networking.k8s.io/v1/networkpolicies', (items) => {
  policies = items as Policy[]
  load()
})
void follow('/api/v1/pods', (items) => {
  pods = items as Pod[]
  load()
})
void follow('/api/v1/namespaces', (items) => {
  namespaces = items as Namespace[]
  load()
})
