import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { type App, createApp } from '../../../src/app.ts'
import { createSigningKeys } from '../../../src/identity/signing-keys/service.ts'
import { createLog } from '../../../src/platform/log.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../../harness.ts'

const environment = { ACCESS_TOKEN_ALGORITHM: 'EdDSA' }
const forgetMs = 1_000

let t: TestApp
/** A process that keeps running while another rotates keys, as the service does during `hitl keys rotate`. */
let running: App
before(async () => {
  t = await startTestApp({ environment })
  const log = createLog('silent', false)
  running = await createApp({
    config: testConfig(environment),
    secretKey,
    connection: t.connection,
    log,
    clock: t.clock,
  })
})
after(async () => {
  await running.stop()
  await t.stop()
})

const call = async (method: 'GET' | 'POST', url: string, as?: string, body?: object) => {
  const headers = as === undefined ? {} : { authorization: `Bearer ${as}` }
  const reply = await running.http.inject({ method, url, headers, ...(body === undefined ? {} : { payload: body }) })
  return { status: reply.statusCode, body: reply.json() }
}
const requests = '/api/v1/requests'
const decided = async (as = t.reviewer.token) => {
  const { id } = (await call('POST', requests, t.apiKey, { title: 'May I?', context: {} })).body
  const reply = await call('POST', `${requests}/${id}/respond`, as, { decision: 'approve' })
  assert.equal(reply.status, 200, JSON.stringify(reply.body))
  return reply.body as { id: string; certificate: string }
}
const redeem = (id: string) => call('POST', `${requests}/${id}/redeem`, t.apiKey)
const keySet = async () => (await call('GET', '/.well-known/jwks.json')).body as JSONWebKeySet

/** Revokes the key in another process. From here on up to a second may pass. */
const revoke = async (purpose: 'access_token' | 'certificate') => {
  await t.app.identity.signingKeys.rotate(purpose, { revoke: true })
  return performance.now()
}
/** Waits until it is true, and fails if that takes longer than a second from `since`. */
const withinASecond = async (since: number, isSo: () => Promise<boolean>) => {
  for (;;) {
    const askedAt = performance.now()
    if (await isSo()) return
    assert.ok(askedAt - since < forgetMs, 'not within a second')
    await pause(20)
  }
}

describe('a key that another process revokes', () => {
  test('signs no decision a second later: new decisions verify, and its earlier approvals cannot be redeemed', async () => {
    const [old, used] = [await decided(), await decided()]
    const { kid } = decodeProtectedHeader(old.certificate)
    assert.equal((await redeem(used.id)).status, 200)
    assert.ok((await keySet()).keys.some((key) => key.kid === kid))
    const revokedAt = await revoke('certificate')
    let latest = old.certificate
    await withinASecond(revokedAt, async () => {
      latest = (await decided()).certificate
      return decodeProtectedHeader(latest).kid !== kid
    })
    const keys = await keySet()
    assert.ok(!keys.keys.some((key) => key.kid === kid))
    await jwtVerify(latest, createLocalJWKSet(keys), { currentDate: t.clock.now() })
    const late = await redeem(old.id)
    assert.deepEqual([late.status, late.body.code], [409, 'consultation.certificate_revoked'])
    assert.equal((await redeem(used.id)).body.code, 'consultation.already_redeemed', 'which says more')
    const { body } = await call('GET', `${requests}/${old.id}`, t.apiKey)
    assert.equal(body.redeemed_at, null)
    assert.equal((await redeem((await decided()).id)).status, 200, 'new approvals are good')
  })

  test('is gone from the published set a second later, and its tokens, old or new, are refused', async () => {
    const leaked = await t.app.identity.signingKeys.signer('access_token')
    const claims = JSON.parse(Buffer.from(t.admin.token.split('.')[1] ?? '', 'base64url').toString('utf8'))
    let forgeries = 0
    const forged = () => {
      forgeries += 1
      return leaked.sign({ ...claims, exp: claims.exp - forgeries }, { typ: 'at+jwt' })
    }
    const me = async (as: string) => (await call('GET', '/api/v1/auth/me', as)).status
    assert.deepEqual([await me(t.admin.token), await me(forged())], [200, 200])
    const revokedAt = await revoke('access_token')
    await withinASecond(revokedAt, async () => (await me(forged())) === 401)
    assert.equal(await me(t.admin.token), 401)
    assert.ok(!(await keySet()).keys.some((key) => key.kid === leaked.kid))
  })
})

test('keys in constant use cost one statement every 800 ms, and each private part is decrypted once', async () => {
  const opened: string[] = []
  const proofOf = async (id: string): Promise<string> => {
    const [row] = await t.sql(
      `select purpose, translate(encode(public_key, 'base64'), '+/=', '-_') as x from signing_keys where id = $1`,
      [id],
    )
    return `${row?.purpose} ${row?.x}`
  }
  let statements = 0
  const counted: TestApp['app']['db'] = {
    ...t.app.db,
    within: (scope) => {
      statements += 1
      return t.app.db.within(scope)
    },
  }
  const keys = createSigningKeys({
    db: counted,
    clock: t.clock,
    log: createLog('silent', false),
    inUse: [],
    report: async () => {},
    sealer: {
      seal: async () => assert.fail('nothing new is to be made'),
      open: async (_sealed, place) => {
        if (place.column === 'proof') return proofOf(place.row)
        opened.push(place.row)
        return Buffer.alloc(32).toString('base64url')
      },
    },
  })
  const startedAt = performance.now()
  for (let n = 0; performance.now() - startedAt < 1_700; n += 1) {
    await keys.signer('certificate')
    if (n % 1_000 === 0) await pause(1)
  }
  const seconds = (performance.now() - startedAt) / 1_000
  assert.ok(statements >= 2 && statements <= 1 + seconds / 0.8, `${statements} statements in ${seconds} s`)
  assert.equal(opened.length, 1)
})
