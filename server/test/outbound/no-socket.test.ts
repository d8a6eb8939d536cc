import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { createNameResolver } from '../../src/outbound/name-resolver.ts'
import { checkTarget } from '../../src/outbound/target-guard.ts'
import { createTransport, type Transport } from '../../src/outbound/transport.ts'
import { createVettedConnector } from '../../src/outbound/vetted-connector.ts'
import { startReceiver } from '../receivers.ts'
import { watchDials } from './dial-watch.ts'
import { type DnsZone, startDnsServer } from './dns-server.ts'
import { hostileAddresses } from './hostile-spellings.ts'
import { hostileUrls } from './hostile-urls.ts'
import { rulesAllowing } from './target-rules.ts'

// These tests do not rely on the guard: they check which connections the operating system was asked for.

const nothing = rulesAllowing()

/** A transport that resolves names through `zone` only. */
async function transportFor(t: TestContext, zone: DnsZone = {}, rules = nothing): Promise<Transport> {
  const dns = await startDnsServer(zone)
  const unknown = Object.assign(new Error('not in the hosts file'), { code: 'ENOTFOUND' })
  const names = createNameResolver({ servers: dns.servers, systemLookup: () => Promise.reject(unknown) })
  const transport = createTransport({ rules, timeoutMs: 5_000, resolve: names.resolve })
  t.after(async () => {
    await transport.close()
    names.cancel()
    await dns.close()
  })
  return transport
}

async function outcome(transport: Transport, url: string): Promise<string> {
  const { status, error } = await transport.post({ owner: 'an organization', url, headers: {}, body: '{}' })
  return error?.code ?? String(status)
}

test('the watch sees a connection that is allowed', async (t) => {
  const receiver = await startReceiver()
  t.after(() => receiver.close())
  const watch = watchDials(t)
  const zone = { 'agent.example.com': { addresses: ['127.0.0.1'] } }
  const transport = await transportFor(t, zone, rulesAllowing('127.0.0.1'))
  assert.equal(await outcome(transport, receiver.url), '200')
  assert.equal(await outcome(transport, `http://agent.example.com:${receiver.port}/`), '200')
  assert.deepEqual(watch.dialled(), Array(2).fill(`127.0.0.1 ${receiver.port}`))
})

test('no socket is opened for any spelling of the corpus', async (t) => {
  const watch = watchDials(t)
  const transport = await transportFor(t)
  for (const { url, why } of hostileUrls) {
    assert.equal(checkTarget(url, nothing).ok, false, `${url} (${why})`)
    assert.equal(await outcome(transport, url), 'target_refused', `${url} (${why})`)
  }
  assert.deepEqual(watch.dialled(), [])
})

describe('no socket is opened for a harmless name', () => {
  test('that resolves to any of the hostile addresses', async (t) => {
    const zone = Object.fromEntries(
      hostileAddresses.map((address, at) => [`address-${at}.example.com`, { addresses: [address] }]),
    )
    assert.ok(hostileAddresses.length >= 400)
    const watch = watchDials(t)
    const transport = await transportFor(t, zone)
    for (const [at, address] of hostileAddresses.entries()) {
      for (const scheme of ['http', 'https']) {
        assert.equal(await outcome(transport, `${scheme}://address-${at}.example.com/`), 'target_refused', address)
      }
    }
    assert.deepEqual(watch.dialled(), [])
  })

  const named: DnsZone = {
    // Services that resolve to the address in the name.
    '127.0.0.1.nip.example': { addresses: ['127.0.0.1'] },
    '7f000001.nip.example': { addresses: ['127.0.0.1'] },
    'app-127-0-0-1.nip.example': { addresses: ['127.0.0.1'] },
    '0x7f.1.nip.example': { addresses: ['127.0.0.1'] },
    '169-254-169-254.nip.example': { addresses: ['169.254.169.254'] },
    '--1.sslip.example': { addresses: ['::1'] },
    '--ffff-7f00-1.sslip.example': { addresses: ['::ffff:7f00:1'] },
    'fd00-ec2--254.sslip.example': { addresses: ['fd00:ec2::254'] },
    // Public names for the machine itself, and for internal addresses that look external.
    'localtest.example': { addresses: ['127.0.0.1', '::1'] },
    'metadata.cloud.example': { addresses: ['169.254.0.23'] },
    'kubernetes.default.svc.example.com': { addresses: ['10.96.0.1'] },
    'vpn.example.com': { addresses: ['100.64.7.7'] },
    // Through names that would have been refused in the URL.
    'alias.example.com': { aliases: ['localhost'], addresses: ['127.0.0.1'] },
    'chain.example.com': {
      aliases: ['a.example.net', 'b.example.org', 'metadata.google.internal'],
      addresses: ['169.254.169.254'],
    },
    'printer.example.com': { aliases: ['printer.local'], addresses: ['192.168.1.9'] },
    'dotted.example.com': { aliases: ['127.0.0.1'], addresses: ['127.0.0.1'] },
    'mixed.example.com': { addresses: ['93.184.216.34', '10.0.0.1', '2606:4700:4700::1111'] },
    'six.example.com': { addresses: ['93.184.216.34', 'fe80::1'] },
  }
  for (const name of Object.keys(named)) {
    test(name, async (t) => {
      const watch = watchDials(t)
      const transport = await transportFor(t, named)
      for (const spelled of [name, name.toUpperCase(), `${name}.`, `${name}:8080`]) {
        assert.equal(await outcome(transport, `http://${spelled}/`), 'target_refused')
      }
      assert.deepEqual(watch.dialled(), [])
    })
  }

  const broken: DnsZone = {
    'long.example.com': { raw: [Buffer.alloc(16)] },
    'short.example.com': { raw: [Buffer.from([127, 0, 0])] },
    'empty.example.com': { addresses: [] },
    'alias-only.example.com': { aliases: ['localhost'] },
    'unknown.example.com': { code: 3 },
    'failing.example.com': { code: 2, addresses: ['127.0.0.1'] },
    'refused.example.com': { code: 5 },
  }
  for (const name of Object.keys(broken)) {
    test(`${name}, which has no address to speak of`, async (t) => {
      const watch = watchDials(t)
      const transport = await transportFor(t, broken)
      // For the IPv6 query a record of 16 bytes is an address, `::`.
      const expected = name === 'long.example.com' ? 'target_refused' : 'dns'
      assert.equal(await outcome(transport, `http://${name}/`), expected)
      assert.deepEqual(watch.dialled(), [])
    })
  }

  test('that the operating system gives an address with a zone, or none at all', async (t) => {
    const watch = watchDials(t)
    for (const answer of ['fe80::1%lo', '2606:4700::1%eth0', '127.0.0.2%1', '127.1', 'localhost', '']) {
      const resolve = async () => [answer]
      const transport = createTransport({ rules: rulesAllowing('127.0.0.2'), timeoutMs: 5_000, resolve })
      assert.equal(await outcome(transport, 'http://agent.example.com/'), 'target_refused', answer)
      await transport.close()
    }
    assert.deepEqual(watch.dialled(), [])
  })
})

test('the connector itself refuses a forbidden address, even if the guard was not called before', async (t) => {
  const watch = watchDials(t)
  const connector = createVettedConnector({ rules: nothing, timeoutMs: 5_000, resolve: async () => ['127.0.0.1'] })
  t.after(() => connector.close())
  for (const hostname of ['127.0.0.1', '::1', '::ffff:10.0.0.1', '169.254.169.254', 'agent.example.com', 'localhost']) {
    for (const protocol of ['http:', 'https:']) {
      const error = await new Promise<unknown>((resolve) =>
        connector.connect({ hostname, protocol, port: '8080' }, (...[failure]) => resolve(failure)),
      )
      assert.match(String(error), /only public addresses may be called/, hostname)
    }
  }
  assert.deepEqual(watch.dialled(), [])
})
