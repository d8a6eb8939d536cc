import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import fastify from 'fastify'
import { registerClient } from '../../src/http/client.ts'
import { canonicalAddress, clientAddress, networkOf, parseNetworks } from '../../src/platform/network-address.ts'

describe('one spelling per address, and one network per caller', () => {
  for (const [given, address, network] of [
    ['192.0.2.7', '192.0.2.7', '192.0.2.7/32'],
    ['::ffff:192.0.2.7', '192.0.2.7', '192.0.2.7/32'],
    ['::FFFF:C000:0207', '192.0.2.7', '192.0.2.7/32'],
    ['0:0:0:0:0:ffff:192.0.2.7', '192.0.2.7', '192.0.2.7/32'],
    ['2001:DB8:1:2::1', '2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002:0000:0000:0000:0001', '2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::1', '2001:db8:1:3::1', '2001:db8:1:3::/64'],
    ['fe80::1%eth0', 'fe80::1', 'fe80::/64'],
    ['::1', '::1', '::/64'],
  ] as const) {
    test(`${given} is ${address} of ${network}`, () => {
      const canonical = canonicalAddress(given)
      assert.equal(canonical, address)
      assert.equal(networkOf(address), network)
    })
  }

  for (const given of [
    '',
    'localhost',
    '10.1',
    '010.0.0.1',
    '0x7f.0.0.1',
    '2130706433',
    '1.2.3.4.5',
    '::g',
    '1.2.3.4%eth0',
    '[::1]',
  ]) {
    test(`"${given}" is no address`, () => assert.equal(canonicalAddress(given), null))
  }

  test('the network of an IPv6 address, in any spelling, is its first 64 bits', () => {
    const groups = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 })
    fc.assert(
      fc.property(groups, fc.boolean(), (parts, padded) => {
        fc.pre(!parts.slice(0, 5).every((part) => part === 0))
        const text = parts.map((part) => part.toString(16).padStart(padded ? 4 : 1, '0')).join(':')
        const canonical = canonicalAddress(padded ? text.toUpperCase() : text)
        assert.ok(canonical !== null)
        assert.equal(canonicalAddress(canonical), canonical)
        const neighbour = [...parts.slice(0, 4), 1, 2, 3, 4].map((part) => part.toString(16)).join(':')
        assert.equal(networkOf(canonical), networkOf(canonicalAddress(neighbour) ?? ''))
      }),
    )
  })
})

describe('X-Forwarded-For counts from the right, as far as trusted proxies wrote it', () => {
  const trusted = parseNetworks(['10.0.0.0/8', '2001:db8:ffff::/48', '192.0.2.1'])
  for (const [what, peer, header, expected] of [
    ['no proxy, no header', '203.0.113.9', undefined, '203.0.113.9'],
    ['no proxy: the header is the caller’s own word', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['no proxy: an address of a trusted one in it, too', '203.0.113.9', '10.0.0.1', '203.0.113.9'],
    ['a proxy without the header', '10.1.2.3', undefined, '10.1.2.3'],
    ['a proxy', '10.1.2.3', '203.0.113.7', '203.0.113.7'],
    ['a proxy seen as IPv4 in IPv6', '::ffff:10.1.2.3', '203.0.113.7', '203.0.113.7'],
    ['a proxy over IPv6', '2001:db8:ffff::1', '2001:DB8:0:1::9', '2001:db8:0:1::9'],
    ['a proxy named by its address', '192.0.2.1', '203.0.113.7', '203.0.113.7'],
    ['its neighbour is none', '192.0.2.2', '203.0.113.7', '192.0.2.2'],
    ['a forged chain in front', '10.1.2.3', '198.51.100.1, 198.51.100.2, 203.0.113.7', '203.0.113.7'],
    ['a forged chain that ends in a trusted address', '10.1.2.3', '198.51.100.1, 10.9.9.9, 203.0.113.7', '203.0.113.7'],
    ['two proxies', '10.1.2.3', '203.0.113.7, 10.4.5.6', '203.0.113.7'],
    ['two proxies and a forged address', '10.1.2.3', '1.1.1.1, 203.0.113.7, 10.4.5.6', '203.0.113.7'],
    ['only proxies', '10.1.2.3', '10.7.8.9, 10.4.5.6', '10.7.8.9'],
    ['a port behind the address', '10.1.2.3', '203.0.113.7:51234', '203.0.113.7'],
    ['a port behind an IPv6 address', '10.1.2.3', '[2001:db8::7]:51234', '2001:db8::7'],
    ['what is no address ends it', '10.1.2.3', '203.0.113.7, unknown', '10.1.2.3'],
    ['what is no address ends it at the proxy that passed it on', '10.1.2.3', 'unknown, 10.4.5.6', '10.4.5.6'],
    ['an empty entry, too', '10.1.2.3', '203.0.113.7,', '10.1.2.3'],
    ['an empty header', '10.1.2.3', '', '10.1.2.3'],
    ['a name', '10.1.2.3', 'localhost', '10.1.2.3'],
    ['an octal spelling', '10.1.2.3', '0177.0.0.1', '10.1.2.3'],
    ['quotes and angles', '10.1.2.3', '"203.0.113.7"', '10.1.2.3'],
    ['no peer (a Unix socket)', undefined, '203.0.113.7', 'unknown'],
  ] as const) {
    test(what, () => assert.equal(clientAddress(peer, header, trusted), expected))
  }

  test('a stranger is identified by the address of its socket, whatever it sends', () => {
    const entry = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('10.0.0.1', '::1', ''), fc.string({ maxLength: 20 }))
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), (chain) => {
        assert.equal(clientAddress('203.0.113.9', chain.join(', '), trusted), '203.0.113.9')
      }),
    )
  })

  test('behind a proxy, nothing that a caller puts before its own address changes its address', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.ipV4(), fc.string({ maxLength: 9 })), { maxLength: 8 }), (forged) => {
        const chain = [...forged, '203.0.113.7', '10.4.5.6'].join(',')
        assert.equal(clientAddress('10.1.2.3', chain, trusted), '203.0.113.7')
      }),
    )
  })

  test('the header of a stranger is not read at all', async () => {
    const app = fastify()
    registerClient(app, trusted)
    app.get('/', async (request) => {
      Object.defineProperty(request.raw.headers, 'x-forwarded-for', { get: () => assert.fail('it was read') })
      return request.client
    })
    const reply = await app.inject({
      url: '/',
      remoteAddress: '203.0.113.9',
      headers: { 'x-forwarded-for': '1.1.1.1' },
    })
    const network = '203.0.113.9/32'
    assert.deepEqual(reply.json(), { address: '203.0.113.9', network, networks: [network] })
  })

  test('the request has it, whether the header has one line or several', async () => {
    const app = fastify()
    registerClient(app, trusted)
    app.get('/', async ({ client }) => client)
    for (const [remoteAddress, forwardedFor, address, networks] of [
      [
        '10.1.2.3',
        '1.1.1.1, 2001:db8:1:2:3::4',
        '2001:db8:1:2:3::4',
        ['2001:db8:1:2::/64', '2001:db8:1::/56', '2001:db8:1::/48'],
      ],
      ['203.0.113.9', '1.1.1.1', '203.0.113.9', ['203.0.113.9/32']],
    ] as const) {
      for (let again = 0; again < 2; again += 1) {
        const headers = { 'x-forwarded-for': forwardedFor }
        assert.deepEqual((await app.inject({ url: '/', remoteAddress, headers })).json(), {
          address,
          network: networks[0],
          networks,
        })
      }
    }
  })
})

describe('networks are written as CIDRs', () => {
  for (const [entry, inside, outside] of [
    ['10.0.0.0/8', '10.255.0.1', '11.0.0.0'],
    ['192.0.2.1', '192.0.2.1', '192.0.2.2'],
    ['192.0.2.1/32', '192.0.2.1', '192.0.2.0'],
    ['2001:db8::/32', '2001:db8:ffff::1', '2001:db9::'],
    ['::ffff:10.0.0.0/104', '10.1.1.1', '11.1.1.1'],
    ['0.0.0.0/1', '127.255.255.255', '128.0.0.0'],
  ] as const) {
    test(`${entry} has ${inside}, not ${outside}`, () => {
      const matches = parseNetworks([entry])
      assert.ok(matches(inside))
      assert.ok(!matches(outside))
      assert.ok(!matches('unknown'))
    })
  }

  for (const entry of [
    '0.0.0.0/0',
    '::/0',
    '::ffff:0:0/96',
    '::FFFF:0.0.0.0/96',
    '0:0:0:0:0:ffff:0:0/96',
    'fe80::1%eth0',
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10/8',
    'loopback',
    'proxy.internal',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '',
  ]) {
    test(`"${entry}" is refused`, () => assert.throws(() => parseNetworks([entry]), /^Error: has "/))
  }
})
