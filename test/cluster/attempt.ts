// What a pod can do, tried from inside it and with all that it has.

import type { Pod } from 'kubernetes-types/core/v1.js'
import { exec } from './pods.ts'
import type { Shared } from './shared.ts'

export type Attempt = [method: string, url: string, headers?: Readonly<Record<string, string>>, body?: string]

/** Asks, from inside a pod and with its own token if it has one; for each attempt the status, or the reason why there is no answer. */
export async function attempt(shared: Shared, pod: Pod, attempts: readonly Attempt[]): Promise<string[]> {
  const script = `
    const fs = require('node:fs')
    const folder = '/var/run/secrets/kubernetes.io/serviceaccount/'
    const bearer = fs.existsSync(folder + 'token') ? { authorization: 'Bearer ' + fs.readFileSync(folder + 'token') } : {}
    const ask = ([method, url, headers = {}, body = '']) => new Promise((resolve) => {
      const api = url.startsWith('/')
      const target = api ? 'https://kubernetes.default.svc.cluster.local' + url : url
      const { request } = require(api ? 'node:https' : 'node:http')
      const options = { method, headers: { ...(api && bearer), ...headers }, rejectUnauthorized: false, timeout: 10000, agent: false }
      const asked = request(target, options, (response) => { resolve(String(response.statusCode)); response.destroy() })
      asked.on('timeout', () => asked.destroy(new Error('no answer'))).on('error', (error) => resolve(error.code ?? error.message))
      asked.end(body)
    })
    Promise.all(JSON.parse(process.argv[1]).map(ask)).then((all) => { console.log(JSON.stringify(all)); process.exit() })`
  const command = ['node', '-e', script, JSON.stringify(attempts)]
  const { out, complaint } = await exec(shared, pod.metadata?.namespace ?? '', pod.metadata?.name ?? '', command)
  if (out === '') throw new Error(complaint)
  return JSON.parse(out) as string[]
}

/** One attempt. */
export async function ask(shared: Shared, pod: Pod, ...one: Attempt): Promise<string> {
  return (await attempt(shared, pod, [one]))[0] ?? ''
}
