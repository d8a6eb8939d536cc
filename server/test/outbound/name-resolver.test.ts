import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { createNameResolver } from '../../src/outbound/name-resolver.ts'
import { type DnsZone, startDnsServer } from './dns-server.ts'

async function dnsServer(t: TestContext, zone: DnsZone) {
  const dns = await startDnsServer(zone)
  t.after(() => dns.close())
  return dns
}

/** The operating system's look-up, where the test completes each call. */
function heldLookups() {
  const held: { readonly hostname: string; answer(addresses: readonly string[]): void; fail(): void }[] = []
  const systemLookup = (hostname: string) =>
    new Promise<readonly string[]>((resolve, reject) => {
      const fail = () => reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' }))
      held.push({ hostname, answer: resolve, fail })
    })
  return { held, systemLookup, asked: () => held.map(({ hostname }) => hostname) }
}

/** Lets pending promises settle. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('a host name is resolved', () => {
  test('to all its addresses, IPv4 first', async (t) => {
    const { servers } = await dnsServer(t, {
      'agent.example.com': { addresses: ['2606:4700:4700::1111', '192.0.2.1', '10.0.0.1'] },
    })
    const addresses = await createNameResolver({ servers }).resolve('agent.example.com')
    assert.deepEqual([...addresses.slice(0, 2)].sort(), ['10.0.0.1', '192.0.2.1'])
    assert.deepEqual(addresses.slice(2), ['2606:4700:4700::1111'])
  })

  test('when it has addresses of one family only', async (t) => {
    const { servers } = await dnsServer(t, {
      'four.example.com': { addresses: ['192.0.2.1'] },
      'six.example.com': { addresses: ['2606:4700:4700::1111'] },
    })
    const { resolve } = createNameResolver({ servers })
    assert.deepEqual(await resolve('four.example.com'), ['192.0.2.1'])
    assert.deepEqual(await resolve('six.example.com'), ['2606:4700:4700::1111'])
  })

  test('to the addresses behind its aliases, and to all of a long answer', async (t) => {
    const many = Array.from({ length: 300 }, (_, at) => `192.0.2.${at % 256}`)
    const { servers, asked } = await dnsServer(t, {
      'alias.example.com': { aliases: ['a.example.net', 'b.example.org'], addresses: ['192.0.2.1'] },
      'many.example.com': { addresses: many, truncatedTo: 3 },
    })
    const { resolve } = createNameResolver({ servers })
    assert.deepEqual(await resolve('alias.example.com'), ['192.0.2.1'])
    assert.equal((await resolve('many.example.com')).length, 300)
    assert.ok(asked.some(({ over }) => over === 'tcp'))
  })

  test('again each time: no answer is cached', async (t) => {
    const { servers } = await dnsServer(t, {
      'agent.example.com': ({ count }) => ({ addresses: [`192.0.2.${count}`] }),
    })
    const { resolve } = createNameResolver({ servers })
    for (let count = 1; count <= 3; count += 1) {
      assert.deepEqual(await resolve('agent.example.com'), [`192.0.2.${count}`])
    }
  })

  test('by the operating system when it has one label, without asking the DNS servers', async (t) => {
    const { servers, asked } = await dnsServer(t, {})
    const addresses = await createNameResolver({ servers }).resolve('localhost')
    assert.ok(addresses.every((address) => address === '127.0.0.1' || address === '::1') && addresses.length > 0)
    assert.deepEqual(asked, [])
  })

  test('by the operating system when the DNS does not know it, not when the DNS fails', async (t) => {
    const { servers } = await dnsServer(t, { 'broken.example.com': { code: 2 } })
    const { resolve } = createNameResolver({ servers, systemLookup: async () => ['10.0.0.1'] })
    assert.deepEqual(await resolve('hosts-file.example.com'), ['10.0.0.1'])
    await assert.rejects(resolve('broken.example.com'), { code: 'ESERVFAIL' })
  })

  test('or not at all: cancel ends a look-up whose server stays silent', async (t) => {
    const dns = await dnsServer(t, { 'agent.example.com': () => null })
    const names = createNameResolver({ servers: dns.servers })
    const asked = dns.nextQuestion('agent.example.com')
    const result = names.resolve('agent.example.com')
    await asked
    names.cancel()
    await assert.rejects(result, { code: 'ECANCELLED' })
  })
})

describe('look-ups by the operating system', () => {
  test('run one at a time', async () => {
    const { held, systemLookup, asked } = heldLookups()
    const { resolve } = createNameResolver({ systemLookup })
    const results = ['one', 'two', 'three'].map((name) => resolve(name))
    await turn()
    assert.deepEqual(asked(), ['one'])
    held[0]?.fail()
    await assert.rejects(results[0] ?? Promise.resolve(), { code: 'ENOTFOUND' })
    await turn()
    assert.deepEqual(asked(), ['one', 'two'])
    held[1]?.answer(['10.0.0.2'])
    assert.deepEqual(await results[1], ['10.0.0.2'])
    await turn()
    held[2]?.answer(['10.0.0.3'])
    assert.deepEqual(await results[2], ['10.0.0.3'])
  })

  test("of the operator's names do not wait for those of other people, which never end", async (t) => {
    const { servers } = await dnsServer(t, {})
    const { held, systemLookup, asked } = heldLookups()
    const isOperators = (name: string) => name === 'agent.corp'
    const { resolve } = createNameResolver({ servers, systemLookup, isOperators })
    for (let at = 0; at < 20; at += 1) void resolve(`hang-${at}.example.com`)
    const answer = resolve('agent.corp')
    while (!asked().includes('agent.corp')) await turn()
    held.find(({ hostname }) => hostname === 'agent.corp')?.answer(['10.0.0.1'])
    assert.deepEqual(await answer, ['10.0.0.1'])
    assert.equal(asked().filter((name) => name.startsWith('hang-')).length, 1)
  })

  test('that nothing waits for any more are skipped', async () => {
    const { held, systemLookup, asked } = heldLookups()
    const { resolve } = createNameResolver({ systemLookup })
    const first = resolve('first')
    const given = new AbortController()
    const abandoned = resolve('abandoned', given.signal)
    const last = resolve('last')
    await turn()
    given.abort()
    held[0]?.answer(['10.0.0.1'])
    await first
    await assert.rejects(abandoned, { name: 'AbortError' })
    await turn()
    assert.deepEqual(asked(), ['first', 'last'])
    held[1]?.answer(['10.0.0.1'])
    await last
  })
})
