import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createApp } from '../../../src/app.ts'
import { createPasswords } from '../../../src/identity/accounts/passwords.ts'
import { createLog } from '../../../src/platform/log.ts'
import { samplePassword, sampleReviewer } from '../../../src/seed.ts'
import { type Reply, secretKey, startTestApp, type TestApp, testConfig } from '../../harness.ts'

let t: TestApp
let reviewerId: string
before(async () => {
  // These tests sign in hundreds of times, and do not test the cost of hashing.
  t = await startTestApp({ passwords: createPasswords({ cost: 4 }) })
  reviewerId = t.reviewer.id
  await t.sql(`update accounts set password_hash = $1`, [await createPasswords({ cost: 4 }).hash(samplePassword)])
})
after(() => t.stop())

const sameOrigin = { 'sec-fetch-site': 'same-origin' }

function cookieOf(reply: Reply): string {
  const header = String(reply.headers['set-cookie'] ?? '')
  return /hitl_session=([^;]*)/.exec(header)?.[1] ?? assert.fail(`no cookie: ${reply.status} ${header} ${reply.text}`)
}

async function signIn(): Promise<{ readonly cookie: string; readonly token: string }> {
  const reply = await t.call('POST', '/api/v1/auth/login', {
    body: { username: sampleReviewer, password: samplePassword, session_cookie: true },
    headers: sameOrigin,
  })
  assert.equal(reply.status, 200, reply.text)
  return { cookie: cookieOf(reply), token: reply.body.access_token }
}

const refresh = (cookie: string, headers: Readonly<Record<string, string>> = sameOrigin): Promise<Reply> =>
  t.call('POST', '/api/v1/auth/refresh', { headers: { cookie: `hitl_session=${cookie}`, ...headers } })

const me = (token: string): Promise<Reply> => t.call('GET', '/api/v1/auth/me', { as: token })

describe('signing in with a browser', () => {
  test('the cookie is HttpOnly, SameSite=Strict and for the whole site, and its token is not in the body', async () => {
    const reply = await t.call('POST', '/api/v1/auth/login', {
      body: { username: sampleReviewer, password: samplePassword, session_cookie: true },
      headers: sameOrigin,
    })
    const header = String(reply.headers['set-cookie'])
    assert.match(header, /^hitl_session=[\w-]{43}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Strict$/)
    assert.ok(!reply.text.includes(cookieOf(reply)))
    const kept = await t.sql('select token_hash from refresh_tokens')
    assert.ok(kept.every((row) => !String(row.token_hash).includes(cookieOf(reply))))
  })

  test('behind https it is a Secure __Host- cookie', async () => {
    const app = await createApp({
      config: testConfig({ PUBLIC_URL: 'https://hitl.example.com' }),
      secretKey,
      connection: t.connection,
      log: createLog('silent', false),
      clock: t.clock,
      passwords: createPasswords({ cost: 4 }),
    })
    const reply = await app.http.inject({
      method: 'POST',
      url: '/api/v1/auth/login',
      headers: sameOrigin,
      payload: { username: sampleReviewer, password: samplePassword, session_cookie: true },
    })
    await app.stop()
    assert.match(String(reply.headers['set-cookie']), /^__Host-hitl_session=[\w-]{43}; .*; Secure$/)
  })

  test('without `session_cookie` there is a bearer token and no cookie', async () => {
    const reply = await t.call('POST', '/api/v1/auth/login', {
      body: { username: sampleReviewer, password: samplePassword },
    })
    assert.equal(reply.status, 200)
    assert.equal(reply.headers['set-cookie'], undefined)
  })

  for (const [what, headers] of [
    ['another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example.com' }],
    ['a sister site', { 'sec-fetch-site': 'same-site', origin: 'https://evil.localhost' }],
    ['a typed address', { 'sec-fetch-site': 'none' }],
    ['nobody knows what', {}],
    ['another origin without Sec-Fetch-Site', { origin: 'http://localhost:1' }],
  ] as const) {
    test(`403 auth.cross_site for a cookie call from ${what}; the session stays`, async () => {
      const { cookie } = await signIn()
      const refused = await refresh(cookie, headers)
      assert.deepEqual([refused.status, refused.body.code], [403, 'auth.cross_site'])
      assert.equal((await refresh(cookie)).status, 200)
    })
  }
})

describe('renewing', () => {
  test('each use gives a new access token and a new cookie', async () => {
    const { cookie } = await signIn()
    const first = await refresh(cookie)
    assert.equal(first.status, 200)
    assert.notEqual(cookieOf(first), cookie)
    assert.equal((await me(first.body.access_token)).body.id, reviewerId)
    assert.equal((await refresh(cookieOf(first))).status, 200)
  })

  test('401 without a cookie, with an invalid one, and with two of them', async () => {
    const calls = [
      await t.call('POST', '/api/v1/auth/refresh', { headers: sameOrigin }),
      await refresh('x'.repeat(43)),
      await refresh('short'),
      await refresh(`${'x'.repeat(43)}; hitl_session=${'y'.repeat(43)}`),
    ]
    for (const reply of calls) assert.equal(reply.status, 401, reply.text)
  })

  test('401 after a week without use, and after 30 days in any case', async () => {
    const idle = await signIn()
    const used = await signIn()
    t.clock.advance(7 * 86_400_000 + 1)
    assert.equal((await refresh(idle.cookie)).status, 401)
    // The idle time is over too; a session that is used lasts longer.
    assert.equal((await refresh(used.cookie)).status, 401)
    let { cookie } = await signIn()
    for (let day = 0; day < 29; day += 1) {
      t.clock.advance(86_400_000)
      const reply = await refresh(cookie)
      assert.equal(reply.status, 200, `day ${day}`)
      cookie = cookieOf(reply)
    }
    t.clock.advance(86_400_000 + 1)
    assert.equal((await refresh(cookie)).status, 401)
  })

  test('200 replays of a replaced token end 200 sessions, with their access tokens', async () => {
    for (let round = 0; round < 200; round += 1) {
      const { cookie } = await signIn()
      const renewed = await refresh(cookie)
      t.clock.advance(10_000)
      const replayed = await refresh(cookie)
      assert.deepEqual([replayed.status, replayed.body.code], [401, 'session.over'], `round ${round}`)
      assert.equal(
        (await refresh(cookieOf(renewed))).status,
        401,
        `round ${round}: the thief's or the owner's, both end`,
      )
      assert.equal((await me(renewed.body.access_token)).status, 401, `round ${round}`)
    }
    const [row] = await t.sql(`select count(*)::int as told from events where kind = 'session.reuse_detected'`)
    assert.equal(row?.told, 200)
  })

  test('two tabs that renew at once both stay signed in: 200 times', async () => {
    for (let round = 0; round < 200; round += 1) {
      const { cookie } = await signIn()
      const tabs = await Promise.all([refresh(cookie), refresh(cookie)])
      for (const tab of tabs) assert.equal(tab.status, 200, tab.text)
      // The browser keeps the cookie of the reply that came last.
      const kept = cookieOf(tabs[round % 2] as Reply)
      t.clock.advance(60_000)
      const next = await refresh(kept)
      assert.equal(next.status, 200, `round ${round}: ${next.text}`)
      for (const tab of tabs) assert.equal((await me(tab.body.access_token)).status, 200)
    }
  })

  test('only 401 clears the cookie, so a fault of the service signs nobody out', async () => {
    const { cookie } = await signIn()
    await t.sql('alter table refresh_tokens rename to refresh_tokens_away')
    const away = await refresh(cookie)
    await t.sql('alter table refresh_tokens_away rename to refresh_tokens')
    assert.equal(away.status, 500)
    assert.equal(away.headers['set-cookie'], undefined)
    assert.equal((await refresh(cookie)).status, 200)
    assert.equal(cookieOf(await refresh('x'.repeat(43))), '')
  })

  test('a deactivated member gets nothing more, neither by cookie nor by token', async () => {
    const { cookie, token } = await signIn()
    await t.sql('update users set is_active = false where id = $1', [reviewerId])
    assert.equal((await refresh(cookie)).status, 401)
    await t.sql('update users set is_active = true where id = $1', [reviewerId])
    assert.equal((await refresh(cookie)).status, 200)
    assert.equal((await me(token)).status, 200)
  })
})

describe('signing out with an access token and a cookie', () => {
  const signOut = (as: string, cookie: string, headers: Readonly<Record<string, string>> = sameOrigin) =>
    t.call('POST', '/api/v1/auth/logout', { as, headers: { cookie: `hitl_session=${cookie}`, ...headers } })

  test('204 with an expired token: the session of the cookie ends, and the cookie is cleared', async () => {
    const { cookie, token } = await signIn()
    t.clock.advance(31 * 60_000)
    assert.equal((await me(token)).status, 401)
    const reply = await signOut(token, cookie)
    assert.equal(reply.status, 204, reply.text)
    assert.equal(cookieOf(reply), '')
    assert.equal((await refresh(cookie)).status, 401)
  })

  test('204 with the token of another session: both end, and the cookie is cleared', async () => {
    const [one, other] = [await signIn(), await signIn()]
    assert.equal((await signOut(one.token, other.cookie)).status, 204)
    assert.deepEqual([(await refresh(one.cookie)).status, (await refresh(other.cookie)).status], [401, 401])
  })

  test('a page of another site cannot end a session by its cookie', async () => {
    const { cookie, token } = await signIn()
    const elsewhere = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example.com' }
    t.clock.advance(31 * 60_000)
    assert.equal((await signOut(token, cookie, elsewhere)).status, 401)
    assert.equal((await refresh(cookie)).status, 200)
  })

  test('401 if neither belongs to a session', async () => {
    assert.equal((await signOut('nothing', 'x'.repeat(43))).status, 401)
  })
})
