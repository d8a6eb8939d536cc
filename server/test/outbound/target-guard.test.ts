import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkTarget, parseAllowList, refusalOfAddress, type TargetRules } from '../../src/outbound/target-guard.ts'
import { ipv4Spelled, spelledUrls } from './hostile-spellings.ts'
import { hostileUrls, innocentUrls } from './hostile-urls.ts'
import { rulesAllowing } from './target-rules.ts'

const nothing = rulesAllowing()

// What a resolver may return for an innocent name. URLs with literal addresses are covered above.
const hostileAnswers = [
  '127.0.0.1',
  '127.8.8.8',
  '0.0.0.0',
  '10.255.255.255',
  '100.64.0.0',
  '168.63.129.16',
  '169.254.169.254',
  '172.16.0.0',
  '172.31.255.255',
  '192.0.0.9',
  '192.168.255.255',
  '198.18.0.0',
  '224.0.0.251',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:a00:1',
  '::127.0.0.1',
  '64:ff9b::10.0.0.1',
  '64:ff9b:1::1',
  '2002:7f00:1::',
  '2002:808:808::1',
  '2002:808:808::5efe:a00:1',
  '2001::1',
  '2001:db8::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  '2606:4700::1%eth0',
  'fec0::1',
  'ff02::fb',
  // Not addresses at all: a resolver that returns these must not be trusted.
  '',
  'localhost',
  'example.com',
  '127.1',
  '0177.0.0.1',
  '0x7f000001',
  '2130706433',
  '010.8.8.8',
  '8.8.8.8 ',
  '[2606:4700::1]',
]

describe('a callback URL that does not lead to the public internet is refused when it is written', () => {
  for (const [why, urls] of Object.entries(Object.groupBy(hostileUrls, ({ why }) => why.replace(/:.*/, '')))) {
    test(`${why}: ${urls?.length} spellings`, () => {
      for (const { url, why } of urls ?? []) {
        const verdict = checkTarget(url, nothing)
        assert.equal(verdict.ok, false, `accepted: ${JSON.stringify(url)} (${why})`)
        assert.match(verdict.ok ? '' : verdict.reason, /^[A-Z].+\.$/s, `no sentence for ${JSON.stringify(url)}`)
      }
    })
  }

  test('the corpus has more than 2 000 spellings, each once and with its target', () => {
    assert.ok(hostileUrls.length >= 2_000, `${hostileUrls.length} spellings`)
    assert.equal(new Set(hostileUrls.map(({ url }) => url)).size, hostileUrls.length)
    assert.ok(hostileUrls.every(({ why }) => why.length > 5))
  })

  test('its spellings mean what they claim: the URL parser reads that address or name', () => {
    const spelled = spelledUrls.filter(({ meant }) => meant !== null)
    assert.ok(spelled.length >= 800, `${spelled.length} spellings with a meaning`)
    for (const { url, meant, why } of spelled) {
      assert.equal(new URL(url).hostname.replace(/\.$/, ''), meant, `${url} (${why})`)
    }
  })

  test('any IPv4 address in any spelling is judged like the plain one', () => {
    const octet = fc.integer({ min: 0, max: 255 })
    fc.assert(
      fc.property(fc.tuple(octet, octet, octet, octet), (bytes) => {
        const address = bytes.join('.')
        const verdict = refusalOfAddress(address, 'agent.example.com', 443, nothing) === null
        for (const host of ipv4Spelled(address)) {
          assert.equal(checkTarget(`http://${host}/`, nothing).ok, verdict, `${address} as ${host}`)
        }
      }),
      { numRuns: 500 },
    )
  })
})

test('public callback URLs pass', () => {
  assert.ok(innocentUrls.length >= 50)
  for (const url of innocentUrls) {
    const verdict = checkTarget(url, nothing)
    assert.equal(verdict.ok, true, `refused: ${url}: ${verdict.ok ? '' : verdict.reason}`)
  }
})

test('a URL of 2048 characters passes and one of 2049 does not', () => {
  const base = 'https://example.com/'
  assert.equal(checkTarget(base + 'a'.repeat(2_048 - base.length), nothing).ok, true)
  assert.equal(checkTarget(base + 'a'.repeat(2_049 - base.length), nothing).ok, false)
})

test('the accepted URL is normalised: lower case, no trailing dot, punycode', () => {
  const hrefOf = (raw: string) => {
    const verdict = checkTarget(raw, nothing)
    return verdict.ok ? verdict.url.href : verdict.reason
  }
  assert.equal(hrefOf('HTTPS://EXAMPLE.com.:443/Hook?A=b'), 'https://example.com/Hook?A=b')
  assert.equal(hrefOf('https://bücher.example/'), 'https://xn--bcher-kva.example/')
})

test('the refusal names the target, the reason and the setting that allows it', () => {
  const refusalOf = (raw: string, rules: TargetRules) => {
    const verdict = checkTarget(raw, rules)
    return verdict.ok ? null : verdict.reason
  }
  assert.equal(
    refusalOf('http://[::ffff:10.0.0.1]/', nothing),
    'The callback host ::ffff:a00:1 is a wrapping of 10.0.0.1, a private address (RFC 1918); only public addresses may be ' +
      'called. The operator of this service can allow it with CALLBACK_ALLOW.',
  )
  const providers = { ...nothing, what: 'identity provider', setting: 'SSO_ALLOW' }
  assert.equal(
    refusalOf('https://accounts.internal/', providers),
    'The identity provider host accounts.internal is the name of an internal network. The operator of this service can ' +
      'allow it with SSO_ALLOW.',
  )
  assert.equal(
    refusalOf('/keys', providers),
    'The identity provider URL must begin with https:// or http:// and name a host.',
  )
})

describe('the addresses a name resolves to', () => {
  test('refused when they are not public, or no addresses', () => {
    for (const answer of hostileAnswers) {
      assert.equal(refusalOfAddress(answer, 'agent.example.com', 443, nothing) === null, false, `accepted: ${answer}`)
    }
  })

  test('accepted when they are public', () => {
    for (const answer of ['1.1.1.1', '93.184.216.34', '2606:4700:4700::1111', '64:ff9b::8.8.8.8', '::ffff:8.8.8.8']) {
      assert.equal(refusalOfAddress(answer, 'agent.example.com', 443, nothing) === null, true, `refused: ${answer}`)
    }
  })

  test('every address outside 2000::/3 is refused, block by block', () => {
    for (let high = 0; high <= 0xff; high += 1) {
      const address = `${((high << 8) | 0x64).toString(16)}:4700::1`
      const isGlobalUnicast = high >> 5 === 1
      assert.equal(refusalOfAddress(address, 'agent.example.com', 443, nothing) === null, isGlobalUnicast, address)
    }
  })
})

describe('what the operator allows passes, and nothing else', () => {
  const cases: readonly [entry: string, passes: readonly string[], refused: readonly string[]][] = [
    [
      '127.0.0.1',
      ['http://127.0.0.1/', 'http://127.0.0.1:9/', 'http://0x7f.1/'],
      ['http://127.0.0.2/', 'http://localhost/'],
    ],
    ['127.0.0.0/8', ['http://127.9.9.9/', 'http://[::ffff:127.0.0.1]/'], ['http://128.0.0.1@x.com/', 'http://[::1]/']],
    [
      '10.0.0.0/8',
      ['http://[::ffff:10.0.0.1]/', 'http://[::FFFF:0a00:0001]/'],
      ['http://[64:ff9b::10.0.0.1]/', 'http://[2002:a00:1::1]/', 'http://[2a00:1450::5efe:10.0.0.1]/'],
    ],
    ['127.0.0.0/8', ['http://127.0.0.1/'], ['http://[64:ff9b::7f00:1]/', 'http://[2001::80ff:fffe]/']],
    ['::ffff:10.0.0.1', ['http://10.0.0.1/', 'http://[::ffff:10.0.0.1]/'], ['http://10.0.0.2/']],
    ['::ffff:0:0/96', ['http://10.0.0.1/', 'http://[::ffff:a00:1]/'], ['http://[::1]/', 'http://[64:ff9b::a00:1]/']],
    ['64:ff9b::/96', ['http://[64:ff9b::10.0.0.1]/'], ['http://10.0.0.1/', 'http://[::ffff:10.0.0.1]/']],
    ['127.0.0.1:9000', ['http://127.0.0.1:9000/'], ['http://127.0.0.1/', 'http://127.0.0.1:9001/']],
    ['10.0.0.0/8:8080', ['http://10.1.2.3:8080/'], ['http://10.1.2.3/', 'http://11.0.0.0:0/']],
    ['172.16.0.0/12', ['http://172.31.0.1/'], ['http://192.168.0.1/', 'http://10.0.0.1/']],
    ['192.168.4.0/22', ['http://192.168.7.255/'], ['http://192.168.8.0/', 'http://192.168.3.255/']],
    ['0.0.0.0/0', ['http://10.0.0.1/', 'http://255.255.255.255/'], ['http://[::1]/', 'http://localhost/']],
    ['::1', ['http://[::1]/', 'http://[::1]:81/'], ['http://[::2]/', 'http://127.0.0.1/']],
    ['[::1]:9000', ['http://[::1]:9000/'], ['http://[::1]/']],
    ['fd00::/8', ['http://[fd12::1]/'], ['http://[fc00::1]/', 'http://[fe80::1]/']],
    ['[fd00::]/8:8080', ['http://[fd12::1]:8080/'], ['http://[fd12::1]/']],
    ['[fd00::/8]:8080', ['http://[fd12::1]:8080/'], ['http://[fd12::1]/']],
    ['localhost', ['http://localhost/', 'http://LOCALHOST.:81/'], ['http://a.localhost/', 'http://127.0.0.1/']],
    ['localhost:3000', ['http://localhost:3000/'], ['http://localhost/', 'https://localhost/']],
    ['agent:80', ['http://agent/'], ['https://agent/', 'http://agent2/']],
    ['AGENT.Corp', ['http://agent.corp/'], ['http://x.agent.corp/', 'http://corp/']],
    ['*.internal', ['http://a.internal/', 'http://a.b.internal:8/'], ['http://internal/', 'http://ainternal/']],
    ['*.svc.cluster.local:443', ['https://a.b.svc.cluster.local/'], ['http://a.b.svc.cluster.local/']],
    ['bücher.local', ['http://bücher.local/', 'http://xn--bcher-kva.local/'], ['http://buecher.local/']],
  ]
  for (const [entry, passes, refused] of cases) {
    test(entry, () => {
      const rules = rulesAllowing(entry)
      for (const url of passes) assert.equal(checkTarget(url, rules).ok, true, `refused: ${url}`)
      for (const url of refused) assert.equal(checkTarget(url, rules).ok, false, `accepted: ${url}`)
    })
  }

  const verdictOn = (rules: TargetRules, address: string, hostname: string, port = 443) =>
    refusalOfAddress(address, hostname, port, rules) === null

  test('an allowed name may resolve to any address, another name may not', () => {
    const rules = rulesAllowing('agent.corp.example:443', '*.lab.example')
    assert.equal(verdictOn(rules, '10.0.0.1', 'agent.corp.example'), true)
    assert.equal(verdictOn(rules, 'fe80::1%eth0', 'agent.corp.example'), true)
    assert.equal(verdictOn(rules, '10.0.0.1', 'agent.corp.example', 80), false)
    assert.equal(verdictOn(rules, '10.0.0.1', 'a.b.lab.example', 80), true)
    assert.equal(verdictOn(rules, '10.0.0.1', 'lab.example'), false)
    assert.equal(verdictOn(rules, '10.0.0.1', 'evillab.example'), false)
  })

  test('any name may resolve into an allowed range', () => {
    const rules = rulesAllowing('10.1.0.0/16:443')
    assert.equal(verdictOn(rules, '10.1.255.255', 'whatever.example.com'), true)
    assert.equal(verdictOn(rules, '::ffff:10.1.0.1', 'whatever.example.com'), true)
    assert.equal(verdictOn(rules, '10.2.0.0', 'whatever.example.com'), false)
    assert.equal(verdictOn(rules, '10.1.0.1', 'whatever.example.com', 80), false)
  })

  test('allowing something does not close the public internet, nor open bad spellings', () => {
    const rules = rulesAllowing('10.0.0.0/8', 'localhost')
    assert.equal(checkTarget('https://example.com/', rules).ok, true)
    assert.equal(checkTarget('http://user:pass@localhost/', rules).ok, false)
    assert.equal(checkTarget('ftp://localhost/', rules).ok, false)
  })
})

test('an invalid entry of an allow list is named', () => {
  const bad = [
    '',
    ' ',
    '*',
    '*.',
    '.example.com',
    'example..com',
    'a.*.example.com',
    'http://example.com',
    'example.com/hook',
    'user@example.com',
    'example.com:',
    'example.com:0',
    'example.com:65536',
    'example.com:http',
    '127.1',
    '0x7f000001',
    '0177.0.0.1',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.1/8',
    '10.0.0/8',
    'fd00::/129',
    'fd00::1/8',
    'fe80::1%eth0',
    '[fd00::1',
    '[example.com]:80x',
    'localhost/8',
  ]
  for (const entry of bad) {
    assert.throws(
      () => parseAllowList(['localhost', entry]),
      (error) => error instanceof Error && error.message.includes(`"${entry}"`) && error.message.endsWith('.'),
      `accepted: ${JSON.stringify(entry)}`,
    )
  }
})
