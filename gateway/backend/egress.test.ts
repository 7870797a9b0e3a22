import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Fault } from '../../protocol/fault.ts'
import { guardEgress, isApiServer, zone, type Zone } from './egress.ts'

const hosts: Readonly<Record<Zone, readonly string[]>> = {
  public: [
    'mcp.example.com',
    'localhost.example.com',
    'internal.example.com',
    'kubernetes.example.com',
    'xn--mnchen-3ya.de',
    '8.8.8.8',
    '172.15.0.1',
    '172.32.0.1',
    '100.63.0.1',
    '100.128.0.1',
    '169.253.1.1',
    '223.255.255.1',
    '[2606:4700:4700::1111]',
    '[::ffff:8.8.8.8]',
    '[64:ff9b::8.8.8.8]',
    '[2002:808:808::1]',
  ],
  private: [
    '10.0.0.1',
    '10.255.255.255',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '100.127.255.255',
    '198.18.0.1',
    '167772161',
    '0x0a000001',
    '0xa.0x0.0x0.0x1',
    '012.0.0.1',
    '10.1',
    '[fd12:3456::1]',
    '[fc00::1]',
    '[::ffff:10.0.0.1]',
    '[::ffff:a00:1]',
    '[::10.0.0.1]',
    '[64:ff9b::10.0.0.1]',
    '[2002:a00:1::1]',
    'server',
    'server.',
    'my-server.team.svc',
    'my-server.team.svc.cluster.local',
    'db.internal',
    'nas.local',
    'router.lan',
    'printer.home.arpa',
    'WIKI.CORP',
  ],
  loopback: [
    'localhost',
    'LOCALHOST.',
    'app.localhost',
    '127.0.0.1',
    '127.0.0.1.',
    '127.255.255.254',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '0177.0.0.1',
    '017700000001',
    '①②⑦.⓪.⓪.①',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
  ],
  forbidden: [
    '169.254.169.254',
    '169.254.169.254.',
    '2852039166',
    '0xa9fea9fe',
    '0251.0376.0251.0376',
    '169.254.43518',
    '[::ffff:169.254.169.254]',
    '[::ffff:a9fe:a9fe]',
    '[::a9fe:a9fe]',
    '[64:ff9b::a9fe:a9fe]',
    '[64:ff9b:1::a9fe:a9fe]',
    '[64:ff9b:1::808:808]',
    '[2002:a9fe:a9fe::]',
    '[::ffff:0:169.254.169.254]',
    '[2001:0:a9fe:a9fe::1]',
    '[fd00:ec2::254]',
    '[fd20:ce::254]',
    '[fe80::1]',
    '[febf::1]',
    '[fec0::1]',
    '[ff02::1]',
    '[::]',
    '[100::1]',
    '[1234::1]',
    '0.0.0.0',
    '0',
    '0.1.2.3',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    'metadata',
    'metadata.google.internal',
    'METADATA.GOOGLE.INTERNAL.',
    'metadata.google.internal..',
    'metadata.goog',
    'instance-data',
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
    'kubernetes.default.svc.example.org',
  ],
}

for (const [expected, list] of Object.entries(hosts)) {
  describe(`${expected}:`, () => {
    for (const host of list) {
      test(host, () => {
        assert.equal(zone(new URL(`https://${host}/mcp`)), expected)
        assert.equal(zone(new URL(`http://${host}:8080`)), expected)
      })
    }
  })
}

test('an IPv4 address has one zone, however it is spelled and wherever it is embedded', () => {
  const part = fc.oneof(fc.nat(255), fc.constantFrom(0, 10, 100, 127, 169, 172, 192, 198, 224, 254, 168, 16, 64))
  fc.assert(
    fc.property(fc.tuple(part, part, part, part), ([a, b, c, d]) => {
      const hex = (one: number, other: number) => ((one << 8) | other).toString(16)
      const plain = zone(new URL(`http://${a}.${b}.${c}.${d}/`))
      const spellings = [
        String(((a * 256 + b) * 256 + c) * 256 + d),
        `0x${a.toString(16)}.0${b.toString(8)}.${c * 256 + d}`,
        `${a}.${b}.${c}.${d}.`,
        `[::ffff:${a}.${b}.${c}.${d}]`,
        `[64:ff9b::${hex(a, b)}:${hex(c, d)}]`,
        `[2002:${hex(a, b)}:${hex(c, d)}::1]`,
      ]
      for (const host of spellings) assert.equal(zone(new URL(`http://${host}/`)), plain, host)
    }),
  )
})

test('a private IPv6 prefix is never public, whatever follows', () => {
  const word = fc.nat(0xffff).map((one) => one.toString(16))
  const first = fc.constantFrom('fc00', 'fdff', 'fe80', 'febf', 'fec0', 'ff02', '0', '100', '4000')
  fc.assert(
    fc.property(first, fc.array(word, { minLength: 7, maxLength: 7 }), (head, rest) => {
      fc.pre(head !== '0' || rest.slice(0, 4).some((one) => one !== '0'))
      assert.notEqual(zone(new URL(`http://[${[head, ...rest].join(':')}]/`)), 'public')
    }),
  )
})

describe('the guard', () => {
  const refusal = (address: string, allowPrivate: boolean, allowLoopback: boolean): Fault | undefined => {
    try {
      guardEgress(new URL(address), 'ns/a', { allowPrivate, allowLoopback })
      return undefined
    } catch (error) {
      assert.ok(error instanceof Fault)
      return error
    }
  }
  test('opens a zone where the resource, and for loopback also the operator, allow it; one never', () => {
    const table: Readonly<Record<Zone, readonly boolean[]>> = {
      public: [true, true, true, true],
      private: [false, true, false, true],
      loopback: [false, false, false, true],
      forbidden: [false, false, false, false],
    }
    for (const [name, opened] of Object.entries(table)) {
      const [host] = hosts[name as Zone]
      const settings = [
        [false, false],
        [true, false],
        [false, true],
        [true, true],
      ] as const
      const found = settings.map(
        ([byResource, byEdge]) => refusal(`https://${host}/`, byResource, byEdge) === undefined,
      )
      assert.deepEqual(found, opened, name)
    }
  })
  test('refuses other schemes and credentials in the URL', () => {
    for (const address of [
      'ftp://a.example/',
      'file:///etc/passwd',
      'ws://a.example/',
      'data:,x',
      'https://u@a.example/',
      'https://:p@a.example/',
    ])
      assert.equal(refusal(address, true, true)?.reason, 'backend_refused', address)
  })
  test('names the server and the rule, and the address in the audit trail only', () => {
    const fault = refusal('https://10.1.2.3:8443/secret/path?token=1', false, false)
    assert.deepEqual(fault?.data, { server: 'ns/a' })
    assert.match(fault.message, /ns\/a is at a private address: set spec\.allowPrivateEndpoint/)
    assert.equal(fault.detail, 'egress to 10.1.2.3:8443')
    assert.doesNotMatch(`${fault.message} ${fault.detail}`, /secret|token/)
  })
})

test('the API server is what the cluster alone can name so: no name that only begins like it, and nothing without TLS', () => {
  for (const host of ['kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'])
    assert.ok(isApiServer(new URL(`https://${host}/openid/v1/jwks`)), host)
  for (const url of [
    'https://kubernetes.default.svc.evil.example/keys',
    'https://kubernetes.default.svc.cluster.local.evil.example/keys',
    'https://kubernetes.default.svc-evil.example/keys',
    'https://kubernetes/keys',
    'https://kubernetes.default/keys',
    'http://kubernetes.default.svc/keys',
  ])
    assert.equal(isApiServer(new URL(url)), false, url)
})
