import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type AllowList, checkAddress, checkTarget, parseAllowList } from '../../src/callbacks/target-guard.ts'

const NOTHING = parseAllowList([])

// URLs that must be refused as they are written, whatever the DNS would say.
const HOSTILE_URLS: Readonly<Record<string, readonly string[]>> = {
  'loopback in every spelling of IPv4': [
    'http://127.0.0.1/',
    'http://127.0.0.1:80/',
    'http://127.0.0.1./',
    'http://127.1/',
    'http://127.0.1/',
    'http://127.000.000.001/',
    'http://127.255.255.254/',
    'http://2130706433/',
    'http://2130706433./',
    'http://0x7f000001/',
    'http://0X7F000001/',
    'http://0x7f.1/',
    'http://0x7f.0x0.0x0.0x1/',
    'http://0x7f.0.0.1/',
    'http://017700000001/',
    'http://0177.1/',
    'http://0177.0.0.1/',
    'http://0177.0.0.01/',
    'http://00000000177.0.0.1/',
    'http://127.0x1/',
    'http://127.0.0.0x1/',
    'http://%31%32%37.0.0.1/',
    'http://127%2e0%2e0%2e1/',
    'http://127.0.0.%31/',
    'http://%30%78%37%66%30%30%30%30%30%31/',
    'http://１２７.0.0.1/',
    'http://127。0。0。1/',
    'http://127．0．0．1/',
    'http://127｡0｡0｡1/',
    'http://①②⑦.0.0.①/',
    'http://𝟏𝟐𝟕.𝟎.𝟎.𝟏/',
    'http://127.0.0.1\u00AD/',
    'HTTP://127.0.0.1/',
    'https://127.0.0.1:8443/hook?x=1',
  ],
  'private, link-local and other special IPv4': [
    'http://0/',
    'http://0.0.0.0/',
    'http://0.0.0.0:8000/',
    'http://0x0/',
    'http://00/',
    'http://0.1.2.3/',
    'http://10.0.0.1/',
    'http://10.1/',
    'http://167772161/',
    'http://0xa000001/',
    'http://012.0.0.1/',
    'http://100.64.0.1/',
    'http://100.100.100.200/latest/meta-data/',
    'http://100.127.255.255/',
    'http://168.63.129.16/metadata',
    'http://169.254.169.254/latest/meta-data/',
    'http://169.254.170.2/v2/credentials',
    'http://169.254.0.23/',
    'http://2852039166/',
    'http://0xa9fea9fe/',
    'http://0xa9.0xfe.0xa9.0xfe/',
    'http://0251.0376.0251.0376/',
    'http://0251.254.169.254/',
    'http://169.16689662/',
    'http://169.254.43518/',
    'http://172.16.0.1/',
    'http://172.31.255.255/',
    'http://192.0.0.1/',
    'http://192.0.0.192/opc/v2/instance/',
    'http://192.0.2.1/',
    'http://192.31.196.1/',
    'http://192.52.193.1/',
    'http://192.88.99.1/',
    'http://192.168.0.1/',
    'http://192.168.1/',
    'http://3232235521/',
    'http://0xc0a80001/',
    'http://192.175.48.1/',
    'http://198.18.0.1/',
    'http://198.19.255.255/',
    'http://198.51.100.7/',
    'http://203.0.113.7/',
    'http://224.0.0.1/',
    'http://239.255.255.250:1900/',
    'http://240.0.0.1/',
    'http://255.255.255.255/',
    'http://4294967295/',
    'http://0xffffffff/',
  ],
  'IPv6 that is not public': [
    'http://[::]/',
    'http://[::]:8000/',
    'http://[0:0:0:0:0:0:0:0]/',
    'http://[::1]/',
    'http://[0:0:0:0:0:0:0:1]/',
    'http://[0000:0000:0000:0000:0000:0000:0000:0001]/',
    'http://[::0001]:9/',
    'http://[0::1]/',
    'http://[::2]/',
    'http://[100::1]/',
    'http://[100:0:0:1::1]/',
    'http://[fc00::1]/',
    'http://[fd00::1]/',
    'http://[fd00:ec2::254]/latest/meta-data/',
    'http://[fd20:ce::254]/',
    'http://[FDFF:FFFF::1]/',
    'http://[fe80::1]/',
    'http://[febf::1]/',
    'http://[fec0::1]/',
    'http://[ff02::1]/',
    'http://[ff0e::1]/',
    'http://[4000::1]/',
    'http://[5f00::1]/',
    'http://[8000::1]/',
    'http://[2001::1]/',
    'http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/',
    'http://[2001:1::1]/',
    'http://[2001:2::1]/',
    'http://[2001:3::1]/',
    'http://[2001:4:112::1]/',
    'http://[2001:10::1]/',
    'http://[2001:20::1]/',
    'http://[2001:30::1]/',
    'http://[2001:1ff:ffff::1]/',
    'http://[2001:db8::1]/',
    'http://[2001:0db8:ffff::1]/',
    'http://[2620:4f:8000::1]/',
    'http://[3fff::1]/',
    'http://[3fff:fff::1]/',
  ],
  'IPv4 inside IPv6': [
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[::FFFF:7F00:0001]/',
    'http://[0:0:0:0:0:ffff:127.0.0.1]/',
    'http://[::ffff:10.0.0.1]/',
    'http://[::ffff:169.254.169.254]/',
    'http://[::ffff:a9fe:a9fe]/',
    'http://[::ffff:0.0.0.0]/',
    'http://[::ffff:0:127.0.0.1]/',
    'http://[::ffff:0:8.8.8.8]/',
    'http://[::127.0.0.1]/',
    'http://[::7f00:1]/',
    'http://[::10.0.0.1]/',
    'http://[::8.8.8.8]/',
    'http://[64:ff9b::127.0.0.1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[64:ff9b::10.0.0.1]/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://[64:ff9b:1::8.8.8.8]/',
    'http://[64:ff9b:1::7f00:1]/',
    'http://[2002:7f00:1::]/',
    'http://[2002:7f00:0001::1]/',
    'http://[2002:a00:1::]/',
    'http://[2002:a9fe:a9fe::]/',
    'http://[2002:c0a8:101::1]/',
    'http://[2002:c058:6301::1]/',
    'http://[2a00:1450::5efe:127.0.0.1]/',
    'http://[2a00:1450::5efe:10.0.0.1]/',
    'http://[2a00:1450::200:5efe:10.0.0.1]/',
    'http://[2a00:1450::5efe:8.8.8.8]/',
    'http://[fe80::5efe:127.0.0.1]/',
  ],
  'zone ids and broken brackets': [
    'http://[fe80::1%25eth0]/',
    'http://[fe80::1%eth0]/',
    'http://[::1%25lo]/',
    'http://[2a00:1450::1%25eth0]/',
    'http://[::1/',
    'http://::1/',
    'http://[::1]x/',
    'http://[127.0.0.1]/',
    'http://[v1.a]/',
    'http://[]/',
    'http://[::ffff:127.1]/',
  ],
  'names of inside networks': [
    'http://localhost/',
    'http://localhost:8000/',
    'http://LOCALHOST/',
    'http://localhost./',
    'http://localhost../',
    'http://LocalHost.LocalDomain/',
    'http://%6cocalhost/',
    'http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/',
    'http://ｌｏｃａｌｈｏｓｔ/',
    'http://local\u00ADhost/',
    'http://𝓁ocalhost/',
    'http://api.localhost/',
    'http://api.localhost./',
    'http://a.b.c.localhost/',
    'http://printer.local/',
    'http://printer.LOCAL./',
    'http://db.internal/',
    'http://metadata.google.internal/computeMetadata/v1/',
    'http://metadata.google.internal./',
    'http://metadata.azure.internal/',
    'http://instance-data.ec2.internal/',
    'http://host.docker.internal/',
    'http://kubernetes.default.svc.cluster.local/',
    'http://router.home.arpa/',
    'http://home.arpa/',
    'http://router.lan/',
    'http://nas.home/',
    'http://wiki.corp/',
    'http://wiki.intranet/',
    'http://vault.private/',
    'http://metadata/',
    'http://metadata./',
    'http://instance-data/latest/meta-data/',
    'http://kubernetes/',
    'http://postgres:5432/',
    'http://redis:6379/',
    'http://rancher-metadata/',
    'http://com/',
    'http://ip6-localhost/',
    'http://broadcasthost/',
  ],
  'hosts that are none': [
    'http://./',
    'http://../',
    'http://.example.com/',
    'http://example..com/',
    'http://example.com../',
    'http://exa*mple.com/',
    "http://exam'ple.com/",
    'http://example.com,127.0.0.1/',
    'http://example.com;127.0.0.1/',
    'http://256.256.256.256/',
    'http://1.2.3.4.5/',
    'http://127.0.0.1.0x0/',
    'http://4294967296/',
    'http://0x1ffffffff/',
    'http://127.0.0.1%00/',
    'http://127.0.0.1%00.example.com/',
    'http://127.0.0.1%0d%0a.example.com/',
    'http://127.0.0.1%20.example.com/',
    'http://127.0.0.1%2f.example.com/',
    'http://127.0.0.1%23.example.com/',
    'http://127.0.0.1%5c.example.com/',
    'http://127.0.0.1%3a80.example.com/',
    `http://${'a'.repeat(64)}.example.com/`,
    `http://${'a.'.repeat(127)}com/`,
    'http:///',
    'http://:80/',
    'http://?x',
    'http://example.com:0/',
    'http://example.com:65536/',
    'http://example.com:-1/',
    'http://example.com:80:80/',
    'http://example.com:%38%30/',
  ],
  'texts that parsers read differently': [
    'http://example.com@127.0.0.1/',
    'http://127.0.0.1@example.com/',
    'http://user:pass@example.com/',
    'http://user@example.com/',
    'http://:pass@example.com/',
    'http://@example.com/',
    'http://:@example.com/',
    'http://example.com%40127.0.0.1@example.org/',
    'http://127.0.0.1\\@example.com/',
    'http://example.com\\@127.0.0.1/',
    'http:\\\\127.0.0.1\\',
    'http:/\\127.0.0.1/',
    'http:/127.0.0.1/',
    'http:127.0.0.1/',
    'http:////127.0.0.1/',
    'http:///127.0.0.1/',
    'https:example.com/',
    ' http://example.com/',
    'http://example.com/ ',
    'http://example.com/a b',
    'http://exa\tmple.com/',
    'http://example.com/\r\nX-Injected: 1',
    'http://127.0.\n0.1/',
    'ht\ntp://example.com/',
    '\u0000http://example.com/',
    'http://example.com/\u0000',
    'http://example.com/\u007F',
    'http://example.com\u00A0/',
    'http://example.com\u3000/',
    'http://example.com/\u2028',
    'http://example.com/\uD800',
    'http://example.com#@127.0.0.1/',
    'http://127.0.0.1#@example.com/',
    'http://example.com/#fragment',
    'http://example.com/hook#',
  ],
  'schemes that are not HTTP': [
    '',
    'http',
    'http://',
    'https://',
    'example.com',
    '//example.com/',
    '/hook',
    'ftp://example.com/',
    'file:///etc/passwd',
    'file://example.com/etc/passwd',
    'gopher://127.0.0.1:6379/_FLUSHALL',
    'dict://127.0.0.1:11211/',
    'ldap://example.com/',
    'ws://example.com/',
    'wss://example.com/',
    'data:text/plain,hello',
    'javascript:alert(1)',
    'blob:http://example.com/1',
    'unix:/var/run/docker.sock',
    'http+unix://%2fvar%2frun%2fdocker.sock/',
    'jar:http://example.com!/',
    'view-source:http://example.com/',
    'httpx://example.com/',
    'url:http://127.0.0.1/',
    `http://example.com/${'a'.repeat(2_048)}`,
  ],
}

const PUBLIC_URLS = [
  'https://example.com/',
  'http://example.com',
  'https://example.com/hook',
  'https://example.com/hook?token=a%20b&next=http://127.0.0.1/',
  'https://example.com:8443/hook',
  'https://EXAMPLE.com/Hook',
  'https://example.com./hook',
  'HTTPS://example.com/hook',
  'https://agent_7.example.com/',
  'https://a-b.example.co.uk/',
  'https://xn--bcher-kva.example/',
  'https://bücher.example/',
  'https://пример.example/',
  'https://例え.example/フック',
  'https://localhost.example.com/',
  'https://internal.example.com/',
  'https://metadata.example.com/',
  'https://local.host/',
  'https://mylocalhost.dev/',
  'https://notlocal.org/',
  'https://127.0.0.1.example.com/',
  'https://10.example.com/',
  'https://a.b.c.d.e.f.example.com/',
  'https://hooks.example.com//double//slashes',
  "https://example.com/it's/@me:80/..%2f",
  `https://${'a'.repeat(63)}.example.com/`,
  'http://1.1.1.1/',
  'http://8.8.8.8:8080/',
  'http://134744072/',
  'http://9.255.255.255/',
  'http://11.0.0.0/',
  'http://100.63.255.255/',
  'http://100.128.0.0/',
  'http://126.255.255.255/',
  'http://128.0.0.1/',
  'http://168.63.129.15/',
  'http://169.253.255.255/',
  'http://169.255.0.0/',
  'http://172.15.255.255/',
  'http://172.32.0.0/',
  'http://192.0.1.1/',
  'http://192.167.255.255/',
  'http://192.169.0.0/',
  'http://198.17.255.255/',
  'http://198.20.0.0/',
  'http://203.0.114.1/',
  'http://223.255.255.254/',
  'http://[2606:4700:4700::1111]/',
  'http://[2001:4860:4860::8888]:8080/',
  'http://[2001:200::1]/',
  'http://[2a00:1450:4001:80b::200e]/',
  'http://[2001:db9::1]/',
  'http://[3ffe::1]/',
  'http://[2002:808:808::1]/',
  'http://[64:ff9b::8.8.8.8]/',
  'http://[::ffff:8.8.8.8]/',
]

// What a resolver may answer for an innocent name; every URL above that holds a literal address is covered there.
const HOSTILE_ANSWERS = [
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
  '2001::1',
  '2001:db8::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  '2606:4700::1%eth0',
  'fec0::1',
  'ff02::fb',
  // Not addresses at all: a resolver that answers these must not be believed.
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
  for (const [kind, urls] of Object.entries(HOSTILE_URLS)) {
    test(kind, () => {
      for (const url of urls) {
        const verdict = checkTarget(url, NOTHING)
        assert.equal(verdict.ok, false, `accepted: ${JSON.stringify(url)}`)
        assert.match(verdict.ok ? '' : verdict.reason, /^[A-Z].+\.$/s, `no sentence for ${JSON.stringify(url)}`)
      }
    })
  }

  test('the table holds at least 200 spellings, each once', () => {
    const all = Object.values(HOSTILE_URLS).flat()
    assert.ok(all.length >= 200, `${all.length} spellings`)
    assert.equal(new Set(all).size, all.length)
  })
})

test('public callback URLs pass', () => {
  assert.ok(PUBLIC_URLS.length >= 40)
  for (const url of PUBLIC_URLS) {
    const verdict = checkTarget(url, NOTHING)
    assert.equal(verdict.ok, true, `refused: ${url}: ${verdict.ok ? '' : verdict.reason}`)
  }
})

test('a URL of 2048 characters passes and one of 2049 does not', () => {
  const base = 'https://example.com/'
  assert.equal(checkTarget(base + 'a'.repeat(2_048 - base.length), NOTHING).ok, true)
  assert.equal(checkTarget(base + 'a'.repeat(2_049 - base.length), NOTHING).ok, false)
})

test('the accepted URL is normalised: lower case, no trailing dot, punycode', () => {
  const hrefOf = (raw: string) => {
    const verdict = checkTarget(raw, NOTHING)
    return verdict.ok ? verdict.url.href : verdict.reason
  }
  assert.equal(hrefOf('HTTPS://EXAMPLE.com.:443/Hook?A=b'), 'https://example.com/Hook?A=b')
  assert.equal(hrefOf('https://bücher.example/'), 'https://xn--bcher-kva.example/')
})

test('the refusal says why and who can change it', () => {
  const verdict = checkTarget('http://[::ffff:10.0.0.1]/', NOTHING)
  assert.match(verdict.ok ? '' : verdict.reason, /10\.0\.0\.1.*private.*CALLBACK_ALLOW/)
})

describe('the addresses a name resolves to', () => {
  test('refused when they are not public, or no addresses', () => {
    for (const answer of HOSTILE_ANSWERS) {
      assert.equal(checkAddress(answer, 'agent.example.com', 443, NOTHING).ok, false, `accepted: ${answer}`)
    }
  })

  test('accepted when they are public', () => {
    for (const answer of ['1.1.1.1', '93.184.216.34', '2606:4700:4700::1111', '2002:808:808::', '::ffff:8.8.8.8']) {
      assert.equal(checkAddress(answer, 'agent.example.com', 443, NOTHING).ok, true, `refused: ${answer}`)
    }
  })

  test('every address outside 2000::/3 is refused, block by block', () => {
    for (let high = 0; high <= 0xff; high += 1) {
      const address = `${((high << 8) | 0x64).toString(16)}:4700::1`
      const isGlobalUnicast = high >> 5 === 1
      assert.equal(checkAddress(address, 'agent.example.com', 443, NOTHING).ok, isGlobalUnicast, address)
    }
  })
})

describe('what the operator allows passes, and nothing beside it', () => {
  const cases: readonly [entry: string, passes: readonly string[], refused: readonly string[]][] = [
    [
      '127.0.0.1',
      ['http://127.0.0.1/', 'http://127.0.0.1:9/', 'http://0x7f.1/'],
      ['http://127.0.0.2/', 'http://localhost/'],
    ],
    ['127.0.0.0/8', ['http://127.9.9.9/', 'http://[::ffff:127.0.0.1]/'], ['http://128.0.0.1@x.com/', 'http://[::1]/']],
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
      const allow = parseAllowList([entry])
      for (const url of passes) assert.equal(checkTarget(url, allow).ok, true, `refused: ${url}`)
      for (const url of refused) assert.equal(checkTarget(url, allow).ok, false, `accepted: ${url}`)
    })
  }

  const verdictOn = (allow: AllowList, address: string, hostname: string, port = 443) =>
    checkAddress(address, hostname, port, allow).ok

  test('an allowed name may resolve to any address, another name may not', () => {
    const allow = parseAllowList(['agent.corp.example:443', '*.lab.example'])
    assert.equal(verdictOn(allow, '10.0.0.1', 'agent.corp.example'), true)
    assert.equal(verdictOn(allow, 'fe80::1%eth0', 'agent.corp.example'), true)
    assert.equal(verdictOn(allow, '10.0.0.1', 'agent.corp.example', 80), false)
    assert.equal(verdictOn(allow, '10.0.0.1', 'a.b.lab.example', 80), true)
    assert.equal(verdictOn(allow, '10.0.0.1', 'lab.example'), false)
    assert.equal(verdictOn(allow, '10.0.0.1', 'evillab.example'), false)
  })

  test('an allowed range may be the answer for any name', () => {
    const allow = parseAllowList(['10.1.0.0/16:443'])
    assert.equal(verdictOn(allow, '10.1.255.255', 'whatever.example.com'), true)
    assert.equal(verdictOn(allow, '::ffff:10.1.0.1', 'whatever.example.com'), true)
    assert.equal(verdictOn(allow, '10.2.0.0', 'whatever.example.com'), false)
    assert.equal(verdictOn(allow, '10.1.0.1', 'whatever.example.com', 80), false)
  })

  test('allowing something does not close the public internet, nor open bad spellings', () => {
    const allow = parseAllowList(['10.0.0.0/8', 'localhost'])
    assert.equal(checkTarget('https://example.com/', allow).ok, true)
    assert.equal(checkTarget('http://user:pass@localhost/', allow).ok, false)
    assert.equal(checkTarget('ftp://localhost/', allow).ok, false)
  })
})

test('an entry of CALLBACK_ALLOW that cannot be used is named', () => {
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
