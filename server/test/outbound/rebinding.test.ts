import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { after, before, describe, type TestContext, test } from 'node:test'
import { createNameResolver, type NameResolverOptions, type Resolve } from '../../src/outbound/name-resolver.ts'
import { createTransport, type TransportOptions } from '../../src/outbound/transport.ts'
import { type Receiver, startReceiver } from '../receivers.ts'
import { watchDials } from './dial-watch.ts'
import { type DnsAnswer, type DnsZone, startDnsServer } from './dns-server.ts'
import { rulesAllowing } from './target-rules.ts'

// Names whose answers change between look-ups. A test cannot connect to public addresses, so one allowed loopback address plays
// the public one. All others play internal addresses and count connections.

const PUBLIC = '127.0.0.2'
const INSIDE = ['127.0.0.1', '::1', ...Array.from({ length: 7 }, (_, at) => `127.0.0.${at + 3}`)]
/** Answers that must never be connected to: the listeners above, other internal addresses, and addresses that embed them. */
const FORBIDDEN = [
  ...INSIDE,
  '0.0.0.0',
  '10.0.0.1',
  '169.254.169.254',
  '192.168.0.1',
  '::',
  '::ffff:127.0.0.1',
  '::127.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b:1::7f00:1',
  '2002:7f00:1::1',
  '2001::5601:5601',
  'fd00::1',
  'fe80::1',
]

let receiver: Receiver
let port: number
let inside: readonly Server[]
let visitors = 0

/**
 * One receiver on the public address, and a counter on the same port of every internal address. If the machine lacks one of
 * these (no IPv6, or a system whose loopback is 127.0.0.1 alone), the dial watch still sees the attempt.
 */
before(async () => {
  for (;;) {
    const candidate = await startReceiver({ host: PUBLIC, behaviour: { headers: { connection: 'close' } } })
    const servers = INSIDE.map((host) => createServer(() => (visitors += 1)).listen(candidate.port, host))
    const bound = await Promise.allSettled(servers.map((server) => once(server, 'listening')))
    receiver = candidate
    port = candidate.port
    inside = servers
    if (!bound.some((one) => one.status === 'rejected' && one.reason?.code === 'EADDRINUSE')) return
    await end()
  }
})

async function end(): Promise<void> {
  await receiver.close()
  await Promise.all(inside.map((server) => server.listening && new Promise((closed) => server.close(closed))))
}
after(end)

type Outcomes = Readonly<Record<string, number>>

async function stage(
  t: TestContext,
  zone: DnsZone,
  options: Partial<TransportOptions> & Pick<NameResolverOptions, 'systemLookup'> = {},
) {
  const watch = watchDials(t)
  const dns = await startDnsServer(zone)
  const unknown = Object.assign(new Error('not in the hosts file'), { code: 'ENOTFOUND' })
  const { systemLookup = () => Promise.reject(unknown), ...rest } = options
  const names = createNameResolver({ servers: dns.servers, systemLookup })
  const rules = rulesAllowing(PUBLIC)
  const transport = createTransport({ rules, timeoutMs: 10_000, resolve: names.resolve, ...rest })
  const visitorsBefore = visitors
  t.after(async () => {
    await transport.close()
    names.cancel()
    await dns.close()
  })

  /** Posts this many times, with a limit on how many at once, and counts the outcomes. */
  async function post(nameOf: string | (() => string), attempts: number, atOnce = 20): Promise<Outcomes> {
    const outcomes: Record<string, number> = {}
    let begun = 0
    const poster = async () => {
      while (begun < attempts) {
        begun += 1
        const name = typeof nameOf === 'string' ? nameOf : nameOf()
        const url = `http://${name}:${port}/hook`
        const { status, error } = await transport.post({ owner: 'an organization', url, headers: {}, body: '{}' })
        const outcome = error?.code ?? String(status)
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
      }
    }
    await Promise.all(Array.from({ length: atOnce }, poster))
    return outcomes
  }

  /** Asserts that only the public address was dialled and no internal address was reached. */
  function assertOnlyPublic(): void {
    assert.deepEqual(
      [...new Set(watch.dialled())].filter((dialled) => dialled !== `${PUBLIC} ${port}`),
      [],
    )
    assert.equal(visitors, visitorsBefore)
  }

  return { transport, dns, watch, post, assertOnlyPublic }
}

/** Asserts both outcomes and no other: otherwise the test did not try what it claims. */
function assertMixed(outcomes: Outcomes, attempts: number): void {
  const { '200': sent = 0, target_refused: refused = 0 } = outcomes
  assert.ok(sent > 0 && refused > 0 && sent + refused === attempts, JSON.stringify(outcomes))
}

const turnAbout = (count: number) => FORBIDDEN[count % FORBIDDEN.length] ?? ''

describe('no socket is opened to a forbidden address by a name whose answers', () => {
  test('alternate between public and private, with 100 attempts at once', async (t) => {
    const { post, assertOnlyPublic } = await stage(t, {
      'flip.example.com': ({ count }) => ({ addresses: [count % 2 === 0 ? PUBLIC : turnAbout(count)] }),
    })
    assertMixed(await post('flip.example.com', 600, 100), 600)
    assertOnlyPublic()
  })

  test('are public except once', async (t) => {
    const { post, assertOnlyPublic } = await stage(t, {
      'once.example.com': ({ count }) => ({ addresses: [count % 50 === 0 ? '127.0.0.1' : PUBLIC] }),
    })
    assertMixed(await post('once.example.com', 500, 100), 500)
    assertOnlyPublic()
  })

  test('are public for IPv4 and private for IPv6', async (t) => {
    const { post, assertOnlyPublic } = await stage(t, { 'both.example.com': { addresses: [PUBLIC, '::1'] } })
    assert.deepEqual(await post('both.example.com', 100), { target_refused: 100 })
    assertOnlyPublic()
  })

  test('are public for IPv4 and embed a private address for IPv6', async (t) => {
    const six = FORBIDDEN.filter((address) => address.includes(':'))
    const { post, assertOnlyPublic } = await stage(t, {
      'wrap.example.com': ({ type, count }) => ({
        addresses: [type === 'A' ? PUBLIC : (six[count % six.length] ?? '')],
      }),
    })
    assert.deepEqual(await post('wrap.example.com', 200), { target_refused: 200 })
    assertOnlyPublic()
  })

  test('have a private address somewhere among public ones', async (t) => {
    const { post, assertOnlyPublic } = await stage(t, {
      'mixed.example.com': ({ count }) => ({
        addresses: Array.from({ length: 12 }, (_, at) => (at === count % 12 ? turnAbout(count) : PUBLIC)),
      }),
    })
    assert.equal((await post('mixed.example.com', 200))['200'], undefined)
    assertOnlyPublic()
  })

  test('have a private address behind more public ones than are tried', async (t) => {
    const { post, assertOnlyPublic } = await stage(t, {
      'many.example.com': { addresses: [...Array<string>(200).fill(PUBLIC), '127.0.0.1'] },
    })
    assert.deepEqual(await post('many.example.com', 50), { target_refused: 50 })
    assertOnlyPublic()
  })

  test('are truncated over UDP before the private address, which only TCP returns', async (t) => {
    const { post, dns, assertOnlyPublic } = await stage(t, {
      'cut.example.com': { addresses: [PUBLIC, PUBLIC, '127.0.0.1'], truncatedTo: 2 },
    })
    assert.deepEqual(await post('cut.example.com', 50), { target_refused: 50 })
    assert.ok(dns.asked.some(({ over }) => over === 'tcp'))
    assertOnlyPublic()
  })

  test('lead through aliases to a private name every other time', async (t) => {
    const chain = (addresses: readonly string[]): DnsAnswer => ({
      aliases: ['a.example.net', 'b.example.org', 'c.example.net', 'metadata.google.internal'],
      addresses,
    })
    const { post, assertOnlyPublic } = await stage(t, {
      'chain.example.com': ({ count }) => chain([count % 2 === 0 ? PUBLIC : '127.0.0.1']),
    })
    assertMixed(await post('chain.example.com', 200), 200)
    assertOnlyPublic()
  })

  test('come at once for the public address and late for the private one', async (t) => {
    const { post, assertOnlyPublic } = await stage(t, {
      'late.example.com': ({ type }) => (type === 'A' ? { addresses: [PUBLIC] } : { addresses: ['::1'], delayMs: 30 }),
    })
    assert.deepEqual(await post('late.example.com', 60), { target_refused: 60 })
    assertOnlyPublic()
  })

  test('come after the deadline: then nothing is dialled', async (t) => {
    const answer = Promise.withResolvers<readonly string[]>()
    const connections: AbortSignal[] = []
    const resolve: Resolve = (_name, signal) => {
      if (signal !== undefined) connections.push(signal)
      return answer.promise
    }
    const { post, watch } = await stage(t, {}, { timeoutMs: 100, resolve })
    assert.deepEqual(await post('slow.example.com', 20), { timeout: 20 })
    // That of a connection begins a moment after that of the attempt.
    assert.ok(connections.length > 0)
    await Promise.all(connections.map(async (signal) => signal.aborted || (await once(signal, 'abort'))))
    answer.resolve([PUBLIC])
    await answer.promise
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(watch.dialled(), [])
  })

  test('are first "no such name", then a private address', async (t) => {
    const { post, assertOnlyPublic } = await stage(t, {
      'late-born.example.com': ({ count }) =>
        count % 3 === 0 ? { code: 3 } : { addresses: [count % 3 === 1 ? PUBLIC : '127.0.0.1'] },
    })
    const outcomes = await post('late-born.example.com', 300)
    assert.ok(outcomes.dns && outcomes['200'] && outcomes.target_refused, JSON.stringify(outcomes))
    assertOnlyPublic()
  })

  test('come from the operating system after the DNS denied the name', async (t) => {
    let asked = 0
    const systemLookup = async () => [asked++ % 2 === 0 ? PUBLIC : '127.0.0.1']
    const { post, assertOnlyPublic } = await stage(t, {}, { systemLookup })
    assertMixed(await post('hosts-file.example.com', 100), 100)
    assertOnlyPublic()
  })

  test('are anything, in any order, at any time: 3 000 attempts, 100 at once', async (t) => {
    // A linear congruential generator (Numerical Recipes): the run can be repeated by its seed.
    const seed = Date.now() % 2 ** 32
    let state = seed
    const random = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    const answer = (): DnsAnswer => {
      const kind = random(10)
      if (kind === 0) return { code: random(4) }
      const addresses = Array.from({ length: 1 + random(4) }, () =>
        random(3) > 0 ? PUBLIC : (FORBIDDEN[random(FORBIDDEN.length)] ?? ''),
      )
      if (kind === 1) return { addresses, aliases: ['a.example.net', 'localhost'].slice(random(2)) }
      if (kind === 2) return { addresses, truncatedTo: 1 }
      if (kind === 3) return { addresses, delayMs: random(10) }
      return { addresses: kind < 7 ? [PUBLIC] : addresses }
    }
    const zone = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`any-${at}.example.com`, answer]))
    const { post, assertOnlyPublic } = await stage(t, zone, {
      systemLookup: async () => [FORBIDDEN[random(FORBIDDEN.length)] ?? '', PUBLIC].slice(random(2)),
    })
    const outcomes = await post(() => `any-${random(20)}.example.com`, 3_000, 100)
    const told = `seed ${seed}: ${JSON.stringify(outcomes)}`
    assert.ok((outcomes['200'] ?? 0) > 300 && (outcomes.target_refused ?? 0) > 300, told)
    assert.ok(
      Object.keys(outcomes).every((outcome) => ['200', 'target_refused', 'dns'].includes(outcome)),
      told,
    )
    assertOnlyPublic()
  })
})

describe('a kept connection', () => {
  async function keptStage(t: TestContext) {
    receiver.behave({ body: 'ok' })
    t.after(() => receiver.behave({ headers: { connection: 'close' } }))
    let answer = PUBLIC
    const staged = await stage(t, { 'agent.example.com': () => ({ addresses: [answer] }) })
    return { ...staged, change: (to: string) => (answer = to) }
  }

  test('keeps its checked address when the name changes, and is not replaced when it ends', async (t) => {
    const { post, watch, change, assertOnlyPublic } = await keptStage(t)
    assert.deepEqual(await post('agent.example.com', 1), { 200: 1 })
    change('127.0.0.1')
    assert.deepEqual(await post('agent.example.com', 20, 1), { 200: 20 })
    assert.equal(watch.dialled().length, 1)
    receiver.behave((response) => response.end('ok', () => response.socket?.end()))
    assert.deepEqual(await post('agent.example.com', 1), { 200: 1 })
    await receiver.waitForNoConnection()
    assert.deepEqual(await post('agent.example.com', 5), { target_refused: 5 })
    assert.equal(watch.dialled().length, 1)
    assertOnlyPublic()
  })

  test('that breaks during a post does not send the second try to a forbidden address', async (t) => {
    const { post, change, assertOnlyPublic } = await keptStage(t)
    assert.deepEqual(await post('agent.example.com', 1), { 200: 1 })
    change('127.0.0.1')
    receiver.behave((response) => response.destroy())
    assert.deepEqual(await post('agent.example.com', 1), { target_refused: 1 })
    assertOnlyPublic()
  })

  test('is closed after 1 000 posts, however busy it is, and then the name is resolved again', async (t) => {
    const { post, change, assertOnlyPublic } = await keptStage(t)
    assert.deepEqual(await post('agent.example.com', 1, 1), { 200: 1 })
    change('127.0.0.1')
    assert.deepEqual(await post('agent.example.com', 1_009, 1), { 200: 999, target_refused: 10 })
    assertOnlyPublic()
  })
})
