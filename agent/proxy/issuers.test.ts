import assert from 'node:assert/strict'
import { SignJWT } from 'jose'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { MemoryStore } from '../../gateway/store/memory.ts'
import { tokensOf } from '../../test/proxy/configs.ts'
import { Issuers } from './issuers.ts'
import { Network } from './network.ts'
import { SecretFiles } from './secrets.ts'

const CLUSTER = 'https://oidc.example/clusters/1'
let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'waggle-account-'))
  const token = await new SignJWT().setIssuer(CLUSTER).setProtectedHeader({ alg: 'HS256' }).sign(new Uint8Array(32))
  await writeFile(join(folder, 'token'), `${token}\n`)
})
after(() => rm(folder, { recursive: true }))

/** What tokens must call an issuer that is planned so. */
function nameOf(issuer: string, clusterAuth: boolean, place = folder): string | undefined {
  const issuers = new Issuers(new MemoryStore(Date.now), new SecretFiles(folder), Date.now, place)
  const { issuers: plans = [] } = tokensOf(issuer, 'tools', { clusterAuth })
  return issuers.keys(plans, new Network([], ''))[0]?.issuer.issuer
}

test('the API server stands for whatever its cluster calls itself', () => {
  for (const issuer of ['https://kubernetes.default.svc', 'https://kubernetes.default.svc.cluster.local'])
    assert.equal(nameOf(issuer, true), CLUSTER)
})

test('any other issuer is called as its configuration says, and so is every one where the pod has no token', () => {
  const [api, elsewhere] = ['https://kubernetes.default.svc', 'https://issuer.example']
  assert.equal(nameOf(elsewhere, true), elsewhere)
  assert.equal(nameOf(api, false), api)
  assert.equal(
    nameOf('https://kubernetes.default.svc.evil.example', true),
    'https://kubernetes.default.svc.evil.example',
  )
  assert.equal(nameOf(api, true, join(folder, 'none')), api)
})
