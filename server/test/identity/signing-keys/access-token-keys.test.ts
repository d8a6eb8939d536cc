import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { createApp } from '../../../src/app.ts'
import { createAccessTokens } from '../../../src/identity/access-token.ts'
import { defaultOverlapMs } from '../../../src/identity/signing-keys/service.ts'
import { createLog } from '../../../src/platform/log.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../../harness.ts'

const me = '/api/v1/auth/me'

describe('with ACCESS_TOKEN_ALGORITHM=EdDSA', () => {
  const environment = { ACCESS_TOKEN_ALGORITHM: 'EdDSA' }
  let t: TestApp
  before(async () => {
    t = await startTestApp({ environment })
  })
  after(() => t.stop())
  const login = async (): Promise<string> => {
    const body = { username: 'admin@example.com', password: 'password123' }
    const reply = await t.call('POST', '/api/v1/auth/login', { body })
    assert.equal(reply.status, 200, reply.text)
    return reply.body.access_token
  }
  const status = async (as: string): Promise<number> => (await t.call('GET', me, { as })).status
  const kidOf = (token: string) => decodeProtectedHeader(token).kid

  test('a login returns a token that anyone can verify with the published keys', async () => {
    const token = await login()
    const keys = (await t.call('GET', '/.well-known/jwks.json')).body as JSONWebKeySet
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(keys), {
      algorithms: ['EdDSA'],
      issuer: 'hitl',
      audience: 'hitl-api',
      typ: 'at+jwt',
      currentDate: t.clock.now(),
    })
    assert.deepEqual(Object.keys(protectedHeader), ['alg', 'typ', 'kid'])
    assert.deepEqual([payload.sub, payload.org], [t.admin.id, t.organizationId])
    assert.match(String(payload.sid), /^[0-9a-f-]{36}$/)
    const jwk = keys.keys.find((key) => key.kid === protectedHeader.kid)
    assert.equal((jwk as { purpose?: string } | undefined)?.purpose, 'access_token')
    assert.equal(await status(token), 200)
  })

  test('keys rotate without signing anybody out, in another process too', async () => {
    const log = createLog('silent', false)
    const config = testConfig(environment)
    const other = await createApp({ config, secretKey, connection: t.connection, log, clock: t.clock })
    const there = async (token: string): Promise<number> => {
      const headers = { authorization: `Bearer ${token}` }
      return (await other.http.inject({ method: 'GET', url: me, headers })).statusCode
    }
    try {
      const first = await login()
      assert.equal(await there(first), 200)
      await t.app.identity.signingKeys.rotate('access_token')
      const between = await login()
      assert.equal(kidOf(between), kidOf(first), 'the old key signs until every copy of the key set has the new one')
      t.clock.advance(defaultOverlapMs)
      const second = await login()
      assert.notEqual(kidOf(second), kidOf(first))
      for (const token of [first, between, second]) {
        assert.deepEqual([await status(token), await there(token)], [200, 200])
      }
    } finally {
      await other.stop()
    }
  })

  test('tokens of a leaked key are refused from its revocation on, however often they were used before', async () => {
    const token = await login()
    assert.equal(await status(token), 200)
    await t.app.identity.signingKeys.rotate('access_token', { revoke: true })
    assert.equal(await status(token), 401)
    assert.equal(await status(await login()), 200)
  })

  test('tokens that a retired key signed stay valid, but not tokens signed with it later', async () => {
    const signer = await t.app.identity.signingKeys.signer('access_token')
    const token = await login()
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
    await t.app.identity.signingKeys.rotate('access_token', { overlapMs: 0 })
    assert.equal(await status(token), 200)
    const later = (ms: number): string => {
      t.clock.advance(ms)
      const iat = Math.floor(t.clock.now().getTime() / 1_000)
      return signer.sign({ ...claims, iat, exp: iat + 60 }, { typ: 'at+jwt' })
    }
    assert.equal(await status(later(86_400_000 + 1)), 401)
  })
})

describe('with SECRET_KEY changed', () => {
  const former = 'the secret key before this one, long enough'
  const subject = (t: TestApp) => {
    const claims = JSON.parse(Buffer.from(t.admin.token.split('.')[1] ?? '', 'base64url').toString('utf8'))
    return { organizationId: t.organizationId, userId: t.admin.id, sessionId: String(claims.sid) }
  }
  for (const [what, environment, status] of [
    ['a token of before is good while SECRET_KEY_PREVIOUS names it', { SECRET_KEY_PREVIOUS: former }, 200],
    ['a token of before is refused without it', {}, 401],
  ] as const) {
    test(what, async (context) => {
      const t = await startTestApp({ environment })
      context.after(() => t.stop())
      const { token } = await createAccessTokens(former, 30).sign(subject(t), t.clock.now())
      assert.equal((await t.call('GET', me, { as: token })).status, status)
      assert.equal((await t.call('GET', me, { as: t.admin.token })).status, 200, 'new ones are of the new key')
      const stranger = await createAccessTokens(`${former}!`, 30).sign(subject(t), t.clock.now())
      assert.equal((await t.call('GET', me, { as: stranger.token })).status, 401)
    })
  }
})
