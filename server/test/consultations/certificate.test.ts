import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { createApp } from '../../src/app.ts'
import { assuranceOf } from '../../src/consultations/certificate.ts'
import type { Person } from '../../src/identity/principal.ts'
import { createLog } from '../../src/platform/log.ts'
import { startTestApp, type TestApp, testConfig } from '../harness.ts'
import { startReceiver } from '../receivers.ts'
import { bodyOf } from './body-of.ts'

let t: TestApp
before(async () => {
  t = await startTestApp({ environment: { PUBLIC_URL: 'https://hitl.example.com', CERTIFICATE_HOURS: '2' } })
})
after(() => t.stop())

const pathOf = (id: string, act = ''): string => `/api/v1/requests/${id}${act === '' ? '' : `/${act}`}`
const respond = (id: string, decision = 'approve') =>
  t.call('POST', pathOf(id, 'respond'), { as: t.reviewer.token, body: { decision } })

/** Verifies as a remote executor would: with the published keys and another library. */
async function verify(certificate: string) {
  const keys = (await t.call('GET', '/.well-known/jwks.json')).body as JSONWebKeySet
  return jwtVerify(certificate, createLocalJWKSet(keys), {
    algorithms: ['EdDSA'],
    typ: 'hitl-decision+jwt',
    issuer: 'https://hitl.example.com',
    currentDate: t.clock.now(),
  })
}

describe('a decision', () => {
  for (const decision of ['approve', 'reject', 'request_changes']) {
    test(`${decision}: carries a certificate that the published keys verify, over what was decided`, async () => {
      const { id, digest } = await t.createRequest({ title: `May I ${decision}?`, context: { a: 1 } })
      const { body } = await respond(id, decision)
      const { payload, protectedHeader } = await verify(body.certificate)
      const now = t.clock.now()
      const { jti, ...claims } = payload
      assert.match(String(jti), /^[0-9a-f-]{36}$/)
      const seconds = Math.floor(now.getTime() / 1_000)
      assert.deepEqual(claims, {
        iss: 'https://hitl.example.com',
        iat: seconds,
        exp: seconds + 7_200,
        request_id: id,
        organization_id: t.organizationId,
        revision: 1,
        digest,
        decision,
        decided_by: 'human',
        assurance: claims.assurance,
        decided_at: now.toISOString(),
      })
      assert.deepEqual(Object.keys(protectedHeader), ['alg', 'typ', 'kid'])
      assert.equal(Date.parse(body.certificate_expires_at), (seconds + 7_200) * 1_000)
    })
  }

  test('has the same certificate in the reply, the request, lists, the callback and at its own address', async (context) => {
    const receiver = await startReceiver()
    context.after(() => receiver.close())
    const { id } = await t.createRequest({ callback_webhook: receiver.url })
    const { certificate } = (await respond(id)).body
    await t.app.drain()
    const own = await t.call('GET', pathOf(id, 'certificate'), { as: t.apiKey })
    const list = await t.call('GET', '/api/v1/requests?limit=1', { as: t.reviewer.token })
    const called = JSON.parse(String(receiver.requests[0]?.body))
    assert.deepEqual(Object.keys(called), [
      'event',
      'request_id',
      'metadata',
      'response',
      'timestamp',
      'state',
      'revision',
      'digest',
      'certificate',
    ])
    const read = await t.call('GET', pathOf(id), { as: t.reviewer.token })
    for (const shown of [own.body, list.body.items[0], called, read.body]) assert.equal(shown.certificate, certificate)
    const { request_id, decision, revision, expires_at, redeemed_at, digest } = own.body
    assert.deepEqual(
      [request_id, decision, revision, expires_at, redeemed_at, digest],
      [id, 'approve', 1, read.body.certificate_expires_at, null, read.body.digest],
    )
  })

  test('keeps its certificate through retries, redelivery and failures of the callback', async (context) => {
    const receiver = await startReceiver({ behaviour: { status: 500 } })
    context.after(() => receiver.close())
    const { id } = await t.createRequest({ callback_webhook: receiver.url, callback_retry_seconds: [1] })
    const { certificate } = (await respond(id)).body
    await t.app.drain()
    t.clock.advance(2_000)
    await t.app.drain()
    receiver.behave({ status: 200 })
    await t.call('POST', pathOf(id, 'redeliver'), { as: t.apiKey })
    await t.app.drain()
    const read = (await t.call('GET', pathOf(id), { as: t.apiKey })).body
    assert.deepEqual([read.state, read.certificate], ['callback_sent', certificate])
    assert.equal(receiver.requests.length, 3)
    assert.equal(new Set(receiver.requests.map((one) => String(one.body))).size, 1)
  })

  test('stays verifiable after the keys were rotated; the next one is signed with the new key', async () => {
    const first = await t.createRequest()
    const old = (await respond(first.id)).body.certificate
    await t.app.identity.signingKeys.rotate('certificate', { overlapMs: 0 })
    const second = await t.createRequest()
    const next = (await respond(second.id)).body.certificate
    const [oldKey, nextKey] = [(await verify(old)).protectedHeader.kid, (await verify(next)).protectedHeader.kid]
    assert.notEqual(oldKey, nextKey)
  })

  test('does not verify if any one character is changed', async () => {
    const { id } = await t.createRequest()
    const { certificate } = (await respond(id)).body
    const [header = '', payload = '', signature = ''] = certificate.split('.')
    const changed = (part: string, at: number) =>
      part.slice(0, at) + (part[at] === 'A' ? 'B' : 'A') + part.slice(at + 1)
    for (const forged of [
      `${changed(header, 9)}.${payload}.${signature}`,
      `${header}.${changed(payload, payload.length >> 1)}.${signature}`,
      `${header}.${payload}.${changed(signature, 20)}`,
      `${header}.${payload}.`,
    ]) {
      await assert.rejects(verify(forged))
    }
  })
})

describe('no certificate', () => {
  test('409 consultation.not_decided if there is no decision yet or never will be', async () => {
    const open = await t.createRequest()
    const withdrawn = await t.createRequest()
    await t.call('POST', pathOf(withdrawn.id, 'cancel'), { as: t.apiKey })
    const late = await t.createRequest({ timeout_minutes: 1 })
    t.clock.advance(60_000)
    await t.app.drain()
    for (const [{ id }, state, says] of [
      [open, 'pending', /Wait for the decision/],
      [withdrawn, 'cancelled', /it will never have a certificate/],
      [late, 'timeout', /it will never have a certificate/],
    ] as const) {
      const reply = await t.call('GET', pathOf(id, 'certificate'), { as: t.apiKey })
      assert.deepEqual([reply.status, reply.body.code, reply.body.state], [409, 'consultation.not_decided', state])
      assert.match(reply.body.detail, says)
      const read = (await t.call('GET', pathOf(id), { as: t.apiKey })).body
      assert.deepEqual([read.certificate, read.certificate_expires_at, read.redeemed_at], [null, null, null])
    }
  })
  test('a repeated Idempotency-Key returns the request as it was created, without its later certificate', async () => {
    const headers = { 'idempotency-key': 'certified' }
    const create = () =>
      t.call('POST', '/api/v1/requests', { as: t.apiKey, body: { title: 'x', context: {} }, headers })
    const first = await create()
    await respond(first.body.id)
    assert.equal((await create()).text, first.text)
  })
  test('503 service.key_unavailable and no decision when the signing keys cannot be decrypted', async () => {
    const { id } = await t.createRequest()
    const log = createLog('silent', false)
    const secretKey = 'another secret key than the one that has sealed'
    const stranger = await createApp({ config: testConfig(), secretKey, connection: t.connection, log, clock: t.clock })
    const by = { kind: 'person', organizationId: t.organizationId, userId: t.reviewer.id, role: 'reviewer' } as Person
    try {
      await assert.rejects(
        stranger.consultations.respond(
          { principal: by, httpRequestId: 'x' } as never,
          id,
          bodyOf({
            decision: 'approve',
            comment: null,
          }),
        ),
        { status: 503, code: 'service.key_unavailable' },
      )
    } finally {
      await stranger.stop()
    }
    assert.equal((await t.call('GET', pathOf(id), { as: t.apiKey })).body.state, 'pending')
  })
})

describe('GET /.well-known/jwks.json', () => {
  test('needs no credential, may be cached for minutes, and has only public parts', async () => {
    const reply = await t.call('GET', '/.well-known/jwks.json')
    assert.equal(reply.status, 200)
    assert.equal(reply.headers['cache-control'], 'public, max-age=300')
    assert.equal(reply.headers['set-cookie'], undefined)
    assert.ok(reply.body.keys.length >= 2)
    for (const key of reply.body.keys) {
      assert.deepEqual(Object.keys(key), [
        ...['kty', 'crv', 'x', 'kid', 'alg', 'use', 'purpose'],
        ...['active_at', 'retired_at', 'revoked_at'],
      ])
      assert.equal(Buffer.from(key.x, 'base64url').length, 32)
    }
    assert.equal((await t.call('HEAD', '/.well-known/jwks.json')).status, 200)
    assert.equal((await t.call('POST', '/.well-known/jwks.json')).status, 405)
  })
})

test('the assurance follows how the person signed in', () => {
  const person = (methods?: readonly string[]): Person => ({
    kind: 'person',
    organizationId: 'o',
    userId: 'u',
    accountId: 'a',
    role: 'reviewer',
    ...(methods === undefined ? {} : { signIn: { methods, at: new Date(0) } }),
  })
  for (const [methods, assurance] of [
    [undefined, 'unknown'],
    [[], 'unknown'],
    [['password'], 'single_factor'],
    [['password', 'password'], 'single_factor'],
    [['password', 'totp'], 'multi_factor'],
    [['password', 'recovery_code'], 'multi_factor'],
    [['sso'], 'federated'],
    [['sso', 'totp'], 'multi_factor'],
    [['passkey'], 'phishing_resistant'],
    [['password', 'passkey'], 'phishing_resistant'],
  ] as const) {
    assert.equal(assuranceOf(person(methods)), assurance, String(methods))
  }
})
