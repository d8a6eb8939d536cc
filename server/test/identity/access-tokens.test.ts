import assert from 'node:assert/strict'
import { createHmac, hkdfSync, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createAccessTokens } from '../../src/identity/access-token.ts'
import { secretKey, startTestApp, type TestApp } from '../harness.ts'

const me = '/api/v1/auth/me'
let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

/** The key that signs tokens, so that the tokens below are refused although their signature is right. */
const key = Buffer.from(hkdfSync('sha256', secretKey, '', 'hitl access token v1', 32))
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const seconds = (): number => Math.floor(t.clock.now().getTime() / 1_000)

const sessionOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')).sid

interface Forgery {
  readonly header?: Readonly<Record<string, unknown>>
  readonly claims?: Readonly<Record<string, unknown>>
  readonly hash?: string
  readonly key?: Buffer
  readonly signature?: string
}

function forge({ header, claims, hash = 'sha256', key: signer = key, signature }: Forgery = {}): string {
  const payload = {
    iss: 'hitl',
    aud: 'hitl-api',
    sub: t.admin.id,
    org: t.organizationId,
    sid: sessionOf(t.admin.token),
    iat: seconds(),
    exp: seconds() + 600,
    ...claims,
  }
  const signed = `${encode({ alg: 'HS256', typ: 'at+jwt', ...header })}.${encode(payload)}`
  return `${signed}.${signature ?? createHmac(hash, signer).update(signed).digest('base64url')}`
}

async function refused(authorization: string | undefined, code = 'auth.invalid', says = /./): Promise<void> {
  const reply = await t.call('GET', me, authorization === undefined ? {} : { headers: { authorization } })
  assert.equal(reply.status, 401, reply.text)
  assert.equal(reply.body.code, code)
  assert.match(String(reply.headers['www-authenticate']), /^Bearer realm=/)
  assert.equal(reply.headers['content-type'], 'application/problem+json; charset=utf-8')
  assert.match(reply.body.detail, says)
}

test('200 with the person, for a token with the expected claims', async () => {
  const reply = await t.call('GET', me, { as: forge() })
  assert.equal(reply.status, 200, reply.text)
  assert.equal(reply.body.id, t.admin.id)
  assert.equal(reply.body.email, 'admin@example.com')
  assert.equal(reply.body.role, 'admin')
})

describe('the scheme is taken in any case', () => {
  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR']) {
    test(scheme, async () => {
      const person = await t.call('GET', me, { headers: { authorization: `${scheme} ${t.admin.token}` } })
      assert.equal(person.status, 200)
      const agent = await t.call('GET', '/api/v1/requests', { headers: { authorization: `${scheme}  ${t.apiKey} ` } })
      assert.equal(agent.status, 200)
    })
  }
})

describe('401 auth.missing with a challenge', () => {
  for (const [what, header] of [
    ['no header', () => undefined],
    ['an empty header', () => ''],
    ['a scheme alone', () => 'Bearer'],
    ['a scheme and a space', () => 'Bearer '],
    ['another scheme', () => `Basic ${Buffer.from('admin@example.com:password123').toString('base64')}`],
    ['the token alone', () => t.admin.token],
    ['two tokens', () => `Bearer ${t.admin.token} ${t.admin.token}`],
    ['a scheme glued to the token', () => `Bearer${t.admin.token}`],
  ] as const) {
    // Who sent something learns that it was not understood, and not that it was missing.
    const says =
      what === 'no header' || what === 'an empty header' ? /^Sign in/ : /something else than one access token/
    test(what, () => refused(header(), 'auth.missing', says))
  }
})

describe('401 auth.invalid although the signing key is ours', () => {
  for (const [what, forgery] of [
    ['alg none without a signature', () => ({ header: { alg: 'none' }, signature: '' })],
    ['alg None, oddly spelled', () => ({ header: { alg: 'NoNe' }, signature: '' })],
    ['alg none with a signature', () => ({ header: { alg: 'none' } })],
    ['alg HS512, rightly signed', () => ({ header: { alg: 'HS512' }, hash: 'sha512' })],
    ['alg HS384, rightly signed', () => ({ header: { alg: 'HS384' }, hash: 'sha384' })],
    ['alg RS256 with our key as if it were public', () => ({ header: { alg: 'RS256' } })],
    ['a critical header that nobody knows', () => ({ header: { crit: ['x'], x: 1 } })],
    ['another issuer', () => ({ claims: { iss: 'elsewhere' } })],
    ['no issuer', () => ({ claims: { iss: undefined } })],
    ['another audience', () => ({ claims: { aud: 'elsewhere' } })],
    ['no audience', () => ({ claims: { aud: undefined } })],
    ['expired', () => ({ claims: { exp: seconds() - 1 } })],
    ['no expiry', () => ({ claims: { exp: undefined } })],
    ['an expiry that is no number', () => ({ claims: { exp: '2099-01-01' } })],
    ['not valid yet', () => ({ claims: { nbf: seconds() + 60 } })],
    ['no organization', () => ({ claims: { org: undefined } })],
    ['another organization', () => ({ claims: { org: randomUUID() } })],
    ['no subject', () => ({ claims: { sub: undefined } })],
    ['a subject that is no text', () => ({ claims: { sub: 5 } })],
    ['a person who is gone', () => ({ claims: { sub: randomUUID() } })],
    ['signed with SECRET_KEY itself', () => ({ key: Buffer.from(secretKey) })],
    ['signed with an empty key', () => ({ key: Buffer.alloc(0) })],
  ] as const satisfies readonly (readonly [string, () => Forgery])[]) {
    test(what, () => refused(`Bearer ${forge(forgery())}`))
  }
})

describe('401 auth.invalid for what was changed on the way', () => {
  test('any single part of a good token changed', async () => {
    const good = t.admin.token
    const [header = '', payload = '', signature = ''] = good.split('.')
    const swapped = (part: string, at: number): string =>
      part.slice(0, at) + (part[at] === 'A' ? 'B' : 'A') + part.slice(at + 1)
    for (const token of [
      [swapped(header, 3), payload, signature],
      [header, swapped(payload, 10), signature],
      [header, payload, swapped(signature, 5)],
      [header, payload, signature.slice(0, -4)],
      [header, payload, ''],
      [header, payload],
      [payload],
      [header, payload, signature, signature],
      [encode({ alg: 'HS256' }), payload, signature],
    ]) {
      await refused(`Bearer ${token.join('.')}`)
    }
    assert.equal((await t.call('GET', me, { as: good })).status, 200, 'the good one is still good')
  })

  for (const token of [
    'x',
    '...',
    'a.b.c',
    'hitl_',
    'hitl_x',
    `hitl_${'0'.repeat(71)}`,
    '%00',
    'é',
    '"',
    `${'a'.repeat(8_000)}`,
  ]) {
    test(`garbage: ${token.slice(0, 20)}`, () => refused(`Bearer ${token}`))
  }
})

test('a token expires exactly when it said, to the second, even if it was used before', async () => {
  const { token, expiresInSeconds } = await createAccessTokens(secretKey, 30).sign(
    { organizationId: t.organizationId, userId: t.admin.id, sessionId: sessionOf(t.admin.token) },
    t.clock.now(),
  )
  assert.equal(expiresInSeconds, 1_800)
  assert.equal((await t.call('GET', me, { as: token })).status, 200)
  t.clock.advance(1_798_000)
  assert.equal((await t.call('GET', me, { as: token })).status, 200)
  t.clock.advance(2_000)
  await refused(`Bearer ${token}`)
  await refused(`Bearer ${token}`)
})

test('deactivating an account or changing its role takes effect within a second of real time', async (context) => {
  const as = forge()
  assert.equal((await t.call('GET', '/api/v1/api-keys', { as })).status, 200)
  await t.sql(`update users set role = 'reviewer' where id = $1`, [t.admin.id])
  await context.waitFor(async () => assert.equal((await t.call('GET', '/api/v1/api-keys', { as })).status, 403), {
    timeout: 5_000,
  })
  await t.sql('update users set is_active = false where id = $1', [t.admin.id])
  const changed = performance.now()
  let lastServed = changed
  await context.waitFor(
    async () => {
      const asked = performance.now()
      const { status } = await t.call('GET', me, { as })
      if (status === 200) lastServed = asked
      assert.equal(status, 401)
    },
    { interval: 20, timeout: 5_000 },
  )
  assert.ok(lastServed - changed <= 1_000, `served ${lastServed - changed} ms after the change`)
  await t.sql(`update users set role = 'admin', is_active = true where id = $1`, [t.admin.id])
})
