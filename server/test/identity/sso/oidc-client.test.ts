import assert from 'node:assert/strict'
import { createHmac, createPublicKey } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { SignJWT } from 'jose'
import { newSecretToken } from '../../../src/identity/secret-token.ts'
import {
  createOidcClient,
  type Expected,
  type Party,
  type ProviderFailure,
} from '../../../src/identity/sso/oidc-client.ts'
import { createProviderHttp, type ProviderHttp } from '../../../src/identity/sso/provider-http.ts'
import { createAuthority } from '../../certificates.ts'
import { createFakeClock } from '../../harness.ts'
import { freePort, startReceiver } from '../../receivers.ts'
import { clientId, clientSecret, type OpenIdProvider, startOpenIdProvider } from './openid-provider.ts'

const redirectUri = 'https://hitl.example.com/api/v1/auth/sso/1/callback'
const clock = createFakeClock()
const open: { close(): Promise<unknown> }[] = []
after(async () => {
  await Promise.all(open.map((one) => one.close()))
})
const keep = <T extends { close(): Promise<unknown> }>(one: T): T => {
  open.push(one)
  return one
}

const httpFor = (
  entries: readonly string[],
  ca?: string,
  more: { maxReplyBytes?: number; timeoutMs?: number } = {},
) => {
  const resolve = async () => ['127.0.0.1']
  return keep(createProviderHttp({ allow: entries, ca: ca ?? null, resolve, timeoutMs: 2_000, ...more }))
}
const loopback: ProviderHttp = httpFor(['127.0.0.0/8'])
const client = createOidcClient({ fetch: loopback.fetch, clock })

const failureOf = (work: Promise<unknown>): Promise<ProviderFailure> =>
  work.then(
    () => assert.fail('it was accepted'),
    (error: ProviderFailure) => error,
  )

let op: OpenIdProvider
let party: Party
before(async () => {
  op = keep(await startOpenIdProvider())
  op.register(redirectUri)
  op.signsIn({ sub: 'grace', email: 'grace@example.com', email_verified: true, name: 'Grace', groups: ['ops', 'all'] })
  party = { issuer: op.issuer, clientId, clientSecret }
})

const newSecrets = (): Expected => ({ state: newSecretToken(), nonce: newSecretToken(), verifier: newSecretToken() })
const begin = async (expected = newSecrets(), at: OpenIdProvider = op, who: Party = party) => {
  const url = await client.authorizationUrl(who, ['email', 'profile', 'groups'], redirectUri, expected)
  return { url, expected, answer: await at.visit(url.href) }
}

describe('the redirect to the provider', () => {
  test('asks for a code with PKCE, nonce and state, and contains no secret', async () => {
    const { url, expected } = await begin()
    const asked = Object.fromEntries(url.searchParams)
    assert.equal(url.origin + url.pathname, `${op.issuer}/auth`)
    assert.deepEqual(Object.keys(asked).sort(), [
      'client_id',
      'code_challenge',
      'code_challenge_method',
      'nonce',
      'redirect_uri',
      'response_type',
      'scope',
      'state',
    ])
    assert.equal(asked.code_challenge_method, 'S256')
    assert.equal(asked.scope, 'openid email profile groups')
    assert.equal(asked.redirect_uri, redirectUri)
    assert.ok(!url.href.includes(expected.verifier) && !url.href.includes('secret'))
  })
})

describe('the redirect back', () => {
  test('yields the subject and the claims of the ID token', async () => {
    const { expected, answer } = await begin()
    const claims = await client.claims(party, answer, expected, ['email', 'groups'])
    assert.equal(claims.subject, 'grace')
    assert.equal(claims.all.email, 'grace@example.com')
    assert.deepEqual(claims.all.groups, ['ops', 'all'])
  })

  test('calls the userinfo endpoint only for claims that the ID token lacks', async () => {
    const thin = keep(await startOpenIdProvider({ claimsInIdToken: false }))
    thin.register(redirectUri)
    thin.signsIn({ sub: 'grace', email: 'grace@example.com', groups: ['ops'] })
    const thinParty = { ...party, issuer: thin.issuer }
    const first = await begin(newSecrets(), thin, thinParty)
    assert.deepEqual((await client.claims(thinParty, first.answer, first.expected, ['groups'])).all.groups, ['ops'])
    assert.ok(thin.calls.includes('/me'))
    assert.ok(!op.calls.includes('/me'))
  })

  test('works for a public client and for a provider older than RFC 9207', async () => {
    const old = keep(await startOpenIdProvider({ secret: false, saysIssuer: false }))
    old.register(redirectUri)
    old.signsIn({ sub: 'ada' })
    const oldParty = { issuer: old.issuer, clientId, clientSecret: null }
    const { expected, answer } = await begin(newSecrets(), old, oldParty)
    assert.equal((await client.claims(oldParty, answer, expected, [])).subject, 'ada')
  })

  test('works after the provider changed its keys', async () => {
    const changing = keep(await startOpenIdProvider())
    changing.register(redirectUri)
    changing.signsIn({ sub: 'ada' })
    const changingParty = { ...party, issuer: changing.issuer }
    for (const rotate of [false, true]) {
      if (rotate) changing.rotateKeys()
      const { expected, answer } = await begin(newSecrets(), changing, changingParty)
      assert.equal((await client.claims(changingParty, answer, expected, [])).subject, 'ada')
    }
  })
})

describe('an answer that does not belong to this flow', () => {
  for (const [what, change] of [
    ['another state', (expected: Expected) => ({ ...expected, state: newSecretToken() })],
    ['another nonce', (expected: Expected) => ({ ...expected, nonce: newSecretToken() })],
    [
      'another verifier (a code from another browser)',
      (expected: Expected) => ({ ...expected, verifier: newSecretToken() }),
    ],
  ] as const) {
    test(`is refused: ${what}`, async () => {
      const { expected, answer } = await begin()
      const error = await failureOf(client.claims(party, answer, change(expected), []))
      assert.equal(error.isOurs, false)
    })
  }

  test('is refused: a code that was used', async () => {
    const { expected, answer } = await begin()
    await client.claims(party, answer, expected, [])
    assert.equal((await failureOf(client.claims(party, answer, expected, []))).reason, 'token_endpoint_invalid_grant')
  })

  test('is refused: another issuer in the answer (mix-up), or none where one was promised', async () => {
    const { expected, answer } = await begin()
    const other = new URL(answer)
    other.searchParams.set('iss', 'https://accounts.example.com')
    const none = new URL(answer)
    none.searchParams.delete('iss')
    const calls = op.calls.length
    for (const url of [other, none]) await failureOf(client.claims(party, url, expected, []))
    assert.ok(!op.calls.slice(calls).includes('/token'), 'the code went to nobody')
  })

  test('is refused: state, code or iss twice', async () => {
    for (const name of ['state', 'code', 'iss']) {
      const { expected, answer } = await begin()
      answer.searchParams.append(name, answer.searchParams.get(name) ?? '')
      await failureOf(client.claims(party, answer, expected, []))
    }
  })

  test('is refused: an error of the provider, whose text is not repeated', async () => {
    const { expected, answer } = await begin()
    const no = new URL(redirectUri)
    no.search = new URLSearchParams({
      error: 'access_denied',
      error_description: '<script>',
      state: expected.state,
      iss: op.issuer,
    }).toString()
    const error = await failureOf(client.claims(party, no, expected, []))
    assert.equal(error.reason, 'answered_access_denied')
    assert.ok(!error.message.includes('script') && answer.searchParams.has('code'))
  })
})

describe('a forged ID token is refused', () => {
  const b64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const publicPem = () => createPublicKey(op.privateKey).export({ type: 'spki', format: 'pem' }).toString()
  const hmac = (key: string, header: object, payload: object) => {
    const text = `${b64({ ...header, alg: 'HS256' })}.${b64(payload)}`
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  }
  const now = () => Math.floor(Date.now() / 1_000)
  let other: OpenIdProvider
  before(async () => {
    other = keep(await startOpenIdProvider())
  })

  const forgeries: readonly (readonly [string, Parameters<OpenIdProvider['forge']>[0], RegExp])[] = [
    ['alg none', ({ payload }) => `${b64({ alg: 'none' })}.${b64(payload)}.`, /invalid_response/],
    [
      'alg none with the old signature',
      ({ header, payload }) => `${b64({ ...header, alg: 'none' })}.${b64(payload)}.AAAA`,
      /invalid_response/,
    ],
    ['HS256 with the public key', ({ header, payload }) => hmac(publicPem(), header, payload), /invalid_response/],
    ['HS256 with the client secret', ({ header, payload }) => hmac(clientSecret, header, payload), /invalid_response/],
    ['for another client', ({ payload }) => op.sign({ ...payload, aud: 'other' }), /claim_comparison.*_aud/],
    [
      'for several, of which we are not the party',
      ({ payload }) => op.sign({ ...payload, aud: [clientId, 'other'], azp: 'other' }),
      /claim/,
    ],
    [
      'for several, without saying for whom',
      ({ payload }) => op.sign({ ...payload, aud: [clientId, 'other'], azp: undefined }),
      /claim|invalid/,
    ],
    [
      'of another issuer',
      ({ payload }) => op.sign({ ...payload, iss: 'https://accounts.example.com' }),
      /claim_comparison.*_iss/,
    ],
    [
      'expired',
      ({ payload }) => op.sign({ ...payload, iat: now() - 7_200, exp: now() - 3_600 }),
      /timestamp_check.*_exp/,
    ],
    ['not valid yet', ({ payload }) => op.sign({ ...payload, nbf: now() + 3_600 }), /timestamp_check.*_nbf/],
    ['without expiry', ({ payload }) => op.sign({ ...payload, exp: undefined }), /invalid|claim/],
    ['without subject', ({ payload }) => op.sign({ ...payload, sub: undefined }), /invalid|claim/],
    ['with an empty subject', ({ payload }) => op.sign({ ...payload, sub: '' }), /subject_unfit|invalid/],
    ['without nonce', ({ payload }) => op.sign({ ...payload, nonce: undefined }), /claim|invalid/],
    ['with another nonce', ({ payload }) => op.sign({ ...payload, nonce: 'x' }), /claim_comparison.*_nonce/],
    [
      'with a nonce that is a list with ours',
      ({ payload }) => op.sign({ ...payload, nonce: [payload.nonce] }),
      /claim|invalid/,
    ],
    ['signed by another provider', ({ payload }) => other.sign(payload), /key|signature|invalid/],
    [
      'signed by another provider under our key id',
      ({ payload }) => other.sign(payload, { kid: op.keyId }),
      /signature|invalid/,
    ],
    [
      'changed after signing',
      async ({ payload }) => {
        const [header, , signature] = (await op.sign(payload)).split('.')
        return `${header}.${b64({ ...payload, sub: 'root' })}.${signature}`
      },
      /signature|invalid/,
    ],
    [
      'with its own key in the header',
      async ({ payload }) =>
        new SignJWT(payload)
          .setProtectedHeader({
            alg: 'RS256',
            jwk: createPublicKey(other.privateKey).export({ format: 'jwk' }) as never,
          })
          .sign(other.privateKey),
      /key|signature|invalid/,
    ],
    [
      'with a header that must be understood',
      ({ payload }) => op.sign(payload, { crit: ['b64'], b64: true }),
      /unsupported|invalid/,
    ],
    ['no JWT at all', () => 'hello', /invalid/],
    ['missing', () => undefined as never, /invalid/],
  ]
  for (const [what, forgery, reason] of forgeries) {
    test(what, async () => {
      const { expected, answer } = await begin()
      op.forge(forgery)
      try {
        const error = await failureOf(client.claims(party, answer, expected, []))
        assert.match(error.reason, reason)
        assert.equal(error.isOurs, false)
      } finally {
        op.forge(null)
      }
    })
  }

  test('while the same token without a forgery is accepted', async () => {
    const { expected, answer } = await begin()
    op.forge(({ payload }) => op.sign(payload))
    try {
      assert.equal((await client.claims(party, answer, expected, [])).subject, 'grace')
    } finally {
      op.forge(null)
    }
  })

  test('time is that of this service: an hour later by its clock the same token has expired', async () => {
    const late = createFakeClock(new Date(Date.now() + 2 * 3_600_000))
    const lateClient = createOidcClient({ fetch: loopback.fetch, clock: late })
    const { expected, answer } = await begin()
    assert.match((await failureOf(lateClient.claims(party, answer, expected, []))).reason, /timestamp/)
  })

  test('a userinfo reply about another person is refused', async () => {
    const { expected, answer } = await begin()
    op.replace('/me', (response) =>
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ sub: 'root', groups: ['admins'] })),
    )
    await failureOf(client.claims(party, answer, expected, ['no_such_claim']))
    op.replace('/me', null)
  })
})

describe('discovery', () => {
  const discoveryPath = '/.well-known/openid-configuration'
  const metadataOf = async (): Promise<Record<string, unknown>> =>
    (await (await fetch(op.issuer + discoveryPath)).json()) as Record<string, unknown>
  const discoverWith = async (change: Readonly<Record<string, unknown>>) => {
    const body = JSON.stringify({ ...(await metadataOf()), ...change })
    op.replace(discoveryPath, (response) => response.setHeader('content-type', 'application/json').end(body))
    try {
      await client.discover(party)
      return null
    } catch (error) {
      return (error as ProviderFailure).reason
    } finally {
      op.replace(discoveryPath, null)
    }
  }

  test('is accepted as the provider publishes it', async () => {
    assert.equal(await discoverWith({}), null)
  })

  for (const [what, change] of [
    ['another issuer', { issuer: 'https://accounts.example.com' }],
    ['no key set', { jwks_uri: undefined }],
    ['no token endpoint', { token_endpoint: undefined }],
    ['a token endpoint without TLS elsewhere', { token_endpoint: 'http://accounts.example.com/token' }],
    ['an authorization endpoint that is a script', { authorization_endpoint: 'javascript:alert(1)' }],
    ['a key set on the local disk', { jwks_uri: 'file:///etc/passwd' }],
  ] as const) {
    test(`is refused with ${what}`, async () => {
      assert.notEqual(await discoverWith(change), null)
    })
  }

  for (const [reason, change] of [
    ['metadata_algorithms', { id_token_signing_alg_values_supported: ['none', 'HS256'] }],
    ['metadata_malformed', { id_token_signing_alg_values_supported: 'RS256' }],
    ['metadata_malformed', { id_token_signing_alg_values_supported: [['RS256']] }],
    ['metadata_malformed', { token_endpoint_auth_methods_supported: 5 }],
    ['metadata_malformed', { authorization_endpoint: `https://accounts.example.com/${'x'.repeat(2_000)}` }],
    ['metadata_incomplete', { userinfo_endpoint: {} }],
    ['metadata_insecure', { userinfo_endpoint: 'http://accounts.example.com/me' }],
  ] as const) {
    test(`is refused for ${reason}: ${JSON.stringify(change).slice(0, 80)}`, async () => {
      assert.equal(await discoverWith(change), reason)
    })
  }

  test('lists of algorithms and methods may be missing or null', async () => {
    for (const none of [undefined, null]) {
      const change = { id_token_signing_alg_values_supported: none, token_endpoint_auth_methods_supported: none }
      assert.equal(await discoverWith(change), null)
    }
  })

  test('is refused with the issuer with a slash more or less, by name', async () => {
    assert.equal(await discoverWith({ issuer: `${op.issuer}/` }), 'issuer_slash')
    const path = '/tenant/.well-known/openid-configuration'
    const body = JSON.stringify({ ...(await metadataOf()), issuer: `${op.issuer}/tenant/` })
    op.replace(path, (response) => response.setHeader('content-type', 'application/json').end(body))
    const error = await failureOf(client.discover({ ...party, issuer: `${op.issuer}/tenant` }))
    assert.equal(error.reason, 'issuer_slash')
  })

  test('a key set at an internal address is not fetched', async () => {
    const { expected, answer } = await begin()
    const inside = await startReceiver({ behaviour: { body: '{"keys":[]}' } })
    keep(inside)
    const onlyHere = httpFor([`127.0.0.1:${new URL(op.issuer).port}`])
    const careful = createOidcClient({ fetch: onlyHere.fetch, clock })
    const body = JSON.stringify({ ...(await metadataOf()), jwks_uri: `${inside.url}/keys` })
    op.replace(discoveryPath, (response) => response.setHeader('content-type', 'application/json').end(body))
    try {
      assert.equal((await failureOf(careful.claims(party, answer, expected, []))).reason, 'target_refused')
      assert.equal(inside.connections, 0)
    } finally {
      op.replace(discoveryPath, null)
    }
  })
})

describe('the provider’s address', () => {
  const discover = (http: ProviderHttp, issuer: string) =>
    failureOf(createOidcClient({ fetch: http.fetch, clock }).discover({ issuer, clientId, clientSecret: null }))

  test('this machine is called only if the operator allows it', async () => {
    const closed = httpFor([])
    const { connections } = await startCounting()
    assert.equal((await discover(closed, op.issuer)).reason, 'target_refused')
    assert.equal(connections(), 0)
  })

  test('http is only for this machine, whatever the operator allows', async () => {
    const wide = httpFor(['0.0.0.0/0', 'accounts.example.com'])
    assert.equal((await discover(wide, 'http://accounts.example.com')).reason, 'target_refused')
    assert.equal((await discover(wide, 'http://10.0.0.1')).reason, 'target_refused')
  })

  for (const issuer of [
    'https://169.254.169.254',
    'https://10.0.0.1',
    'https://[::1]',
    'https://metadata.internal',
    'https://localhost',
    'https://2130706433',
  ]) {
    test(`${issuer} is not called`, async () => {
      assert.equal((await discover(httpFor([]), issuer)).reason, 'target_refused')
    })
  }

  test('a public name that resolves to an internal address is not called', async () => {
    const { port, connections } = await startCounting()
    const error = await discover(httpFor([]), `https://accounts.example.com:${port}`)
    assert.deepEqual([error.isOurs, error.reason], [true, 'target_refused'])
    assert.match(
      String(error.refusal),
      /^The identity provider host accounts.example.com resolves to 127.0.0.1, .*SSO_ALLOW\.$/,
    )
    assert.equal(connections(), 0)
  })

  test('a certificate is needed, of a trusted authority and for this name', async () => {
    const authority = createAuthority()
    for (const [hosts, ca] of [
      [['accounts.example.com'], undefined],
      [['other.example.com'], authority.cert],
    ] as const) {
      const tls = keep(await startReceiver({ tls: authority.issue(hosts) }))
      const http = httpFor(['accounts.example.com'], ca)
      assert.equal((await discover(http, `https://accounts.example.com:${tls.port}`)).isOurs, true)
      assert.equal(tls.requests.length, 0)
    }
  })

  test('it is called with a certificate of a configured authority', async () => {
    const authority = createAuthority()
    const tls = keep(await startReceiver({ tls: authority.issue(['accounts.example.com']) }))
    const issuer = `https://accounts.example.com:${tls.port}`
    const at = (path: string) => issuer + path
    tls.behave({
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        issuer,
        authorization_endpoint: at('/auth'),
        token_endpoint: at('/token'),
        jwks_uri: at('/jwks'),
      }),
    })
    const http = httpFor(['accounts.example.com'], authority.cert)
    await createOidcClient({ fetch: http.fetch, clock }).discover({ issuer, clientId, clientSecret: null })
    assert.equal(tls.requests[0]?.path, '/.well-known/openid-configuration')
  })
})

describe('a provider in trouble', () => {
  const discoverAt = (issuer: string, more = {}) =>
    failureOf(
      createOidcClient({ fetch: httpFor(['127.0.0.0/8'], undefined, more).fetch, clock }).discover({
        issuer,
        clientId,
        clientSecret: null,
      }),
    )

  test('nothing listens', async () => {
    assert.equal((await discoverAt(`http://127.0.0.1:${await freePort()}`)).isOurs, true)
  })

  test('a redirect is not followed', async () => {
    const target = keep(await startReceiver())
    const receiver = keep(await startReceiver({ behaviour: { status: 302, headers: { location: target.url } } }))
    await discoverAt(receiver.url)
    assert.equal(target.connections, 0)
  })

  test('an endless reply is cut off', async () => {
    const receiver = keep(
      await startReceiver({
        behaviour: (response) => {
          response.writeHead(200, { 'content-type': 'application/json' })
          const more = () => {
            while (response.write('x'.repeat(65_536))) {}
          }
          response.on('drain', more)
          more()
        },
      }),
    )
    await discoverAt(receiver.url, { maxReplyBytes: 100_000 })
    await receiver.waitForNoConnection()
  })

  test('a reply that never comes ends in a timeout', async () => {
    const receiver = keep(await startReceiver({ behaviour: () => {} }))
    const startedAt = performance.now()
    assert.equal((await discoverAt(receiver.url, { timeoutMs: 200 })).isOurs, true)
    assert.ok(performance.now() - startedAt < 2_000)
  })

  test('a reply that is not JSON', async () => {
    const receiver = keep(await startReceiver({ behaviour: { body: '<html>' } }))
    await discoverAt(receiver.url)
  })

  test('a wrong client secret is reported as such, without the secret', async () => {
    const wrong = { ...party, clientSecret: 'wr0ng' }
    const { expected, answer } = await begin()
    const error = await failureOf(client.claims(wrong, answer, expected, []))
    assert.match(error.reason, /invalid_client|client_not_accepted/)
    assert.ok(!JSON.stringify([error.message, error.reason, error.stack]).includes('wr0ng'))
  })

  test('errors contain no tokens or codes', async () => {
    const { expected, answer } = await begin()
    op.forge(({ payload }) => op.sign({ ...payload, aud: 'other' }))
    const error = await failureOf(client.claims(party, answer, expected, []))
    op.forge(null)
    assert.equal(error.cause, undefined)
    const code = answer.searchParams.get('code') ?? 'none'
    assert.doesNotMatch(`${error.message}${error.stack}`, new RegExp(`eyJ|${code}`))
  })
})

async function startCounting() {
  const receiver = keep(await startReceiver())
  return { port: receiver.port, connections: () => receiver.connections }
}
