import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { checkReturnTo } from '../../../src/identity/sso/flows/flow.ts'
import type { Reply, TestApp } from '../../harness.ts'
import { recordedEvents } from '../../recorded-events.ts'
import { addCompany, signedIn } from '../organizations/tenancy.ts'
import { addOrganization, newPerson } from '../recovery/accounts.ts'
import { type OpenIdProvider, type ProvidedPerson, startOpenIdProvider } from './openid-provider.ts'
import {
  addProvider,
  answerOf,
  createBrowser,
  flowCookieName,
  ownPage,
  pathOf,
  sessionCookieName,
  setCookies,
  signInBy,
  startPath,
  startSsoApp,
  type TestProvider,
  tokenOf,
} from './sso-app.ts'

let t: TestApp
let op: OpenIdProvider
/** Admits everyone as a reviewer. */
let provider: TestProvider
before(async () => {
  t = await startSsoApp()
  op = await startOpenIdProvider()
  provider = await addProvider(t, { creates_members: true, default_role: 'reviewer' }, { op })
})
after(async () => {
  await t.stop()
  await op.close()
  await Promise.all(others.map((other) => other.close()))
})

const others: OpenIdProvider[] = []
const anotherProvider = async (
  settings: Readonly<Record<string, unknown>> = {},
  as?: string,
): Promise<TestProvider> => {
  const added = await addProvider(t, settings, as === undefined ? {} : { as })
  others.push(added.op)
  return added
}

let people = 0
const newcomer = (claims: Readonly<Record<string, unknown>> = {}): ProvidedPerson => {
  people += 1
  const sub = `subject-${people}`
  return { sub, email: `${sub}@example.com`, email_verified: true, name: `Person ${people}`, ...claims }
}
const me = async (browser: ReturnType<typeof createBrowser>): Promise<Reply['body']> =>
  (await t.call('GET', '/api/v1/auth/me', { as: await tokenOf(browser) })).body
const eventsOf = (kind: string) => recordedEvents(t.sql, { kinds: [kind] })
const lastReason = async (kind = 'sso.sign_in_refused'): Promise<unknown> => (await eventsOf(kind)).at(-1)?.after.reason
const isRefused = (reply: Reply, code: string): void => {
  assert.equal(reply.body?.code, code, reply.text)
  assert.ok(!setCookies(reply).some((cookie) => cookie.startsWith(sessionCookieName)))
}

describe('the way to the provider', () => {
  test('303, with a value in a cookie that only this host can set and no script can read', async () => {
    const reply = await t.call('GET', startPath(provider.id))
    assert.equal(reply.status, 303)
    assert.ok(String(reply.headers.location).startsWith(`${op.issuer}/auth?`))
    const [cookie] = setCookies(reply)
    assert.match(cookie ?? '', /^__Host-hitl_sso=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/)
    assert.equal(reply.headers['cache-control'], 'no-store')
  })

  test('state, nonce and verifier are nowhere in the clear', async () => {
    const reply = await t.call('GET', startPath(provider.id))
    const { searchParams } = new URL(String(reply.headers.location))
    const [cookie = ''] = setCookies(reply).map((line) => /=([\w-]{43})/.exec(line)?.[1] ?? '')
    const [dump] = await t.sql('select json_agg(f)::text as rows from sso_flows f')
    for (const secret of [searchParams.get('state'), searchParams.get('nonce'), cookie]) {
      assert.ok(secret && !String(dump?.rows).includes(secret))
    }
  })

  test('a second tab shares the cookie value; an invalid one is replaced', async () => {
    const browser = createBrowser(t)
    await browser.get(startPath(provider.id))
    const first = browser.cookies.get(flowCookieName)
    await browser.get(startPath(provider.id))
    assert.equal(browser.cookies.get(flowCookieName), first)
    browser.cookies.set(flowCookieName, 'x')
    await browser.get(startPath(provider.id))
    assert.match(browser.cookies.get(flowCookieName) ?? '', /^[\w-]{43}$/)
  })

  test('one tab after another is signed in', async () => {
    const [browser, person] = [createBrowser(t), newcomer()]
    const answers = [await answerOf(browser, provider, person), await answerOf(browser, provider, person)]
    for (const answer of answers) {
      browser.cookies.delete(sessionCookieName)
      assert.equal((await browser.get(answer)).status, 303)
    }
  })

  for (const to of [
    'https://evil.example.com/',
    '//evil.example.com',
    '/\\evil.example.com',
    '/\\/evil.example.com',
    '\\\\evil.example.com',
    '/..//evil.example.com',
    '/./\\evil.example.com',
    '/%0d%0aset-cookie:x=y\r\n',
    'javascript:alert(1)',
    ' /inbox',
    '/\tinbox',
    'inbox',
    '',
    '/grüße',
    `/${'x'.repeat(600)}`,
    // A provider's start, reached from here, would look like a link on a page of the service and ask nobody.
    '/api/v1/auth/sso/01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a70/start',
    '/%61pi/v1/auth/sso/01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a70/start',
    '/inbox/../api/v1/auth/me',
    '/inbox/%2e%2e/api/v1/auth/me',
    '/api//v1/auth/me',
    '/api',
    '/%zz',
  ]) {
    test(`422 for a way back to ${JSON.stringify(to).slice(0, 40)}`, async () => {
      const reply = await t.call('GET', startPath(provider.id, `?return_to=${encodeURIComponent(to)}`))
      assert.equal(reply.status, 422, reply.text)
      assert.equal(reply.headers.location, undefined)
    })
  }

  test('a service below a path is led back to below it only', () => {
    const at = 'https://hitl.example.com/hitl'
    assert.equal(checkReturnTo('/hitl/inbox?tab=mine#top', at), '/hitl/inbox?tab=mine#top')
    assert.equal(checkReturnTo('/hitl/', at), '/hitl/')
    for (const to of ['/', '/hitl', '/hitlist', '/other', '/hitl/../other', '/hitl/api/v1/x', '/hitl//api/v1/x']) {
      assert.throws(() => checkReturnTo(to, at), /return_to/, to)
    }
  })

  test('404 for a provider that does not exist or is disabled', async () => {
    const off = await anotherProvider({ is_active: false })
    for (const id of [randomUUID(), off.id]) {
      const reply = await t.call('GET', startPath(id))
      assert.equal(reply.status, 404)
      assert.equal(reply.body.code, 'identity_provider.not_found')
    }
  })

  test('503 when the provider does not respond, and 303 again when it does', async () => {
    const gone = await anotherProvider()
    gone.op.replace('/.well-known/openid-configuration', (response) => response.writeHead(500).end())
    const reply = await t.call('GET', startPath(gone.id))
    assert.equal(reply.status, 503)
    assert.equal(reply.body.code, 'sso.provider_unavailable')
    gone.op.replace('/.well-known/openid-configuration', null)
    assert.equal((await t.call('GET', startPath(gone.id))).status, 303)
  })

  test('unfinished flows are deleted', async () => {
    for (let round = 0; round < 5; round += 1) await t.call('GET', startPath(provider.id))
    t.clock.advance(11 * 60_000)
    await t.call('GET', startPath(provider.id))
    assert.equal((await t.sql('select from sso_flows where expires_at <= $1', [t.clock.now()])).length, 0)
  })
})

describe('a person who signs in for the first time', () => {
  test('becomes a member, is signed in, and no address holds a token', async () => {
    const person = newcomer()
    const browser = createBrowser(t)
    const reply = await browser.get(await answerOf(browser, provider, person, '?return_to=/inbox?tab=mine%23top'))
    assert.equal(reply.status, 303, reply.text)
    assert.equal(reply.headers.location, 'https://hitl.example.com/inbox?tab=mine#top')
    const session = setCookies(reply).find((cookie) => cookie.startsWith(sessionCookieName)) ?? ''
    assert.match(session, /HttpOnly; SameSite=Strict; Secure$/)
    const user = await me(browser)
    assert.deepEqual([user.email, user.name, user.role], [person.email, person.name, 'reviewer'])
    const opened = (await eventsOf('session.opened')).at(-1)
    assert.match(JSON.stringify(opened?.after), /"signed_in_with":\["oidc"\]/)
  })

  test('gets an account without the address, which belongs to the person who proves it here', async () => {
    const person = newcomer()
    await signInBy(t, provider, person)
    const [account] = await t.sql(
      'select a.email, a.password_hash, a.email_verified_at from accounts a join users u on u.account_id = a.id where u.email = $1',
      [person.email],
    )
    assert.match(String(account?.email), /^[0-9a-f-]{36}@sso\.invalid$/)
    assert.equal(account?.password_hash, null)
    assert.equal(account?.email_verified_at, null)
  })

  test('and again: is the same member, whatever name and address the provider sends', async () => {
    const person = newcomer()
    const first = await me((await signInBy(t, provider, person)).browser)
    const renamed = { ...person, email: 'renamed@example.com', name: 'Renamed' }
    const second = await me((await signInBy(t, provider, renamed)).browser)
    assert.equal(second.id, first.id)
  })

  test('two sign-ins at once with one new identity make one member', async () => {
    const person = newcomer()
    const browsers = [createBrowser(t), createBrowser(t)] as const
    const answers = [await answerOf(browsers[0], provider, person), await answerOf(browsers[1], provider, person)]
    const replies = await Promise.all(browsers.map((browser, at) => browser.get(answers[at] ?? '')))
    assert.deepEqual(
      replies.map(({ status }) => status),
      [303, 303],
    )
    const users = await t.sql('select id from users where email = $1', [person.email])
    assert.equal(users.length, 1)
  })

  test('409 with the address of a member, because an address does not identify a person', async () => {
    const { reply } = await signInBy(t, provider, newcomer({ email: 'Reviewer@example.com' }))
    assert.equal(reply.status, 409)
    isRefused(reply, 'sso.address_taken')
    assert.equal(await lastReason(), 'address_taken')
    const linked = await t.sql('select from sso_identities where user_id = $1', [t.reviewer.id])
    assert.equal(linked.length, 0)
  })

  test('403 if the provider does not create members', async () => {
    const closed = await anotherProvider()
    const { reply } = await signInBy(t, closed, newcomer())
    assert.equal(reply.status, 403)
    isRefused(reply, 'sso.not_a_member')
  })

  for (const [what, claims, code] of [
    ['of another domain', { email: 'a@other.example' }, 'sso.domain_not_allowed'],
    ['of a sub-domain', { email: 'a@sub.example.com' }, 'sso.domain_not_allowed'],
    ['with a domain that only ends like it', { email: 'a@evil-example.com' }, 'sso.domain_not_allowed'],
    ['that the provider has not verified', { email_verified: false }, 'sso.address_not_verified'],
    ['of which nobody says whether it is verified', { email_verified: undefined }, 'sso.address_not_verified'],
    ['that is verified in other words', { email_verified: 'yes' }, 'sso.address_not_verified'],
    ['that is not, as a text', { email_verified: 'false' }, 'sso.address_not_verified'],
    ['that is none', { email: 'nobody' }, 'sso.no_address'],
    ['that is missing', { email: undefined }, 'sso.no_address'],
    ['with two @', { email: 'a@evil.example@example.com' }, 'sso.no_address'],
  ] as const) {
    test(`403 with an address ${what}, where only a domain's people become members`, async () => {
      domainOnly ??= await anotherProvider({
        creates_members: true,
        default_role: 'reviewer',
        email_domains: ['Example.com'],
      })
      const { reply } = await signInBy(t, domainOnly, newcomer(claims))
      assert.equal(reply.status, 403)
      isRefused(reply, code)
    })
  }
  let domainOnly: TestProvider | undefined

  test('a verified address of the domain is admitted in upper or lower case', async () => {
    domainOnly ??= await anotherProvider({
      creates_members: true,
      default_role: 'reviewer',
      email_domains: ['Example.com'],
    })
    const { reply } = await signInBy(t, domainOnly, newcomer({ email: `x${randomUUID()}@EXAMPLE.com` }))
    assert.equal(reply.status, 303, reply.text)
  })

  test('an address that the provider verified as the text "true" is verified', async () => {
    domainOnly ??= await anotherProvider({
      creates_members: true,
      default_role: 'reviewer',
      email_domains: ['Example.com'],
    })
    const { reply } = await signInBy(t, domainOnly, newcomer({ email_verified: 'true' }))
    assert.equal(reply.status, 303, reply.text)
  })

  test('the same subject at another issuer is another person', async () => {
    const other = await anotherProvider({ creates_members: true, default_role: 'reviewer' })
    const person = newcomer()
    const first = await me((await signInBy(t, provider, person)).browser)
    const second = await me((await signInBy(t, other, { ...person, email: 'other-issuer@example.com' })).browser)
    assert.notEqual(second.id, first.id)
  })
})

describe('an answer that does not belong to this browser', () => {
  test('403 without the cookie value, with another browser’s, and with two; the right browser still gets in', async () => {
    const [victim, attacker] = [createBrowser(t), createBrowser(t)]
    const answer = await answerOf(victim, provider, newcomer())
    await attacker.get(startPath(provider.id))
    isRefused(await createBrowser(t).get(answer), 'sso.not_begun_here')
    isRefused(await attacker.get(answer), 'sso.not_begun_here')
    const mark = `${flowCookieName}=${victim.cookies.get(flowCookieName)}`
    const twice = await t.call('GET', answer, { headers: { cookie: `${mark}; ${flowCookieName}=${'A'.repeat(43)}` } })
    isRefused(twice, 'sso.not_begun_here')
    assert.equal((await victim.get(answer)).status, 303)
  })

  test('login CSRF: an attacker’s answer does not sign in another browser', async () => {
    const [victim, attacker] = [createBrowser(t), createBrowser(t)]
    const answer = await answerOf(attacker, provider, newcomer())
    await victim.get(startPath(provider.id))
    isRefused(await victim.get(answer), 'sso.not_begun_here')
  })

  test('a stolen code in the thief’s own flow is refused: it was made for another verifier', async () => {
    const [victim, thief] = [createBrowser(t), createBrowser(t)]
    const stolen = new URLSearchParams((await answerOf(victim, provider, newcomer())).split('?')[1])
    const own = await answerOf(thief, provider, newcomer())
    const [path, query] = own.split('?')
    const mixed = new URLSearchParams(query)
    mixed.set('code', stolen.get('code') ?? '')
    const reply = await thief.get(`${path}?${mixed}`)
    assert.equal(reply.status, 403)
    isRefused(reply, 'sso.answer_refused')
    assert.equal(await lastReason(), 'token_endpoint_invalid_grant')
  })

  test('403 the second time: state and code work once', async () => {
    const browser = createBrowser(t)
    const answer = await answerOf(browser, provider, newcomer())
    const mark = browser.cookies.get(flowCookieName) ?? ''
    assert.equal((await browser.get(answer)).status, 303)
    const again = await t.call('GET', answer, { headers: { cookie: `${flowCookieName}=${mark}` } })
    isRefused(again, 'sso.not_begun_here')
  })

  test('of 5 at once with one answer, one is signed in', async () => {
    const browser = createBrowser(t)
    const answer = await answerOf(browser, provider, newcomer())
    const headers = { cookie: `${flowCookieName}=${browser.cookies.get(flowCookieName)}` }
    const replies = await Promise.all(Array.from({ length: 5 }, () => t.call('GET', answer, { headers })))
    assert.deepEqual(replies.map(({ status }) => status).sort(), [303, 403, 403, 403, 403])
  })

  test('403 after ten minutes', async () => {
    const browser = createBrowser(t)
    const answer = await answerOf(browser, provider, newcomer())
    t.clock.advance(10 * 60_000)
    isRefused(await browser.get(answer), 'sso.not_begun_here')
  })

  test('403 at another provider’s address (mix-up), and the code is sent nowhere', async () => {
    const other = await anotherProvider({ creates_members: true, default_role: 'reviewer' })
    const browser = createBrowser(t)
    const answer = await answerOf(browser, provider, newcomer())
    const calls = other.op.calls.length
    isRefused(await browser.get(answer.replace(provider.id, other.id)), 'sso.not_begun_here')
    assert.deepEqual(other.op.calls.slice(calls), [])
  })

  test('403 if the answer names another issuer or none', async () => {
    for (const change of [
      (query: URLSearchParams) => query.set('iss', 'https://accounts.example.com'),
      (query: URLSearchParams) => query.delete('iss'),
    ]) {
      const browser = createBrowser(t)
      const [path, text] = (await answerOf(browser, provider, newcomer())).split('?')
      const query = new URLSearchParams(text)
      change(query)
      const calls = op.calls.length
      isRefused(await browser.get(`${path}?${query}`), 'sso.answer_refused')
      assert.ok(!op.calls.slice(calls).includes('/token'))
    }
  })

  test('4xx for a malformed answer', async () => {
    const path = `/api/v1/auth/sso/${provider.id}/callback`
    for (const query of ['', '?state=x', '?state=x&state=y', `?code=${'x'.repeat(9_000)}&state=x`]) {
      const reply = await t.call('GET', path + query)
      assert.ok(reply.status >= 400 && reply.status < 500, `${query}: ${reply.status}`)
    }
  })

  test('in a browser every refusal is a page', async () => {
    const [path, accept] = [`/api/v1/auth/sso/${provider.id}`, 'text/html,*/*;q=0.8']
    for (const query of [
      '/callback?error=access_denied',
      '/callback?state=x&state=y',
      '/start?return_to=//x.example',
    ]) {
      const { headers, text } = await t.call('GET', path + query, { headers: { accept } })
      assert.match(String(headers['content-type']), /^text\/html/, query)
      assert.match(text, /Sign-in did not work/)
    }
  })

  test('is read whole: a code may have a question mark', async () => {
    const browser = createBrowser(t)
    const [path, text] = (await answerOf(browser, provider, newcomer())).split('?')
    const query = new URLSearchParams(text)
    const [code, state] = [query.get('code'), query.get('state')]
    const reply = await browser.get(`${path}?more=a?b&code=${code}&state=${state}&iss=${encodeURIComponent(op.issuer)}`)
    assert.equal(reply.status, 303, reply.text)
  })
})

describe('a sign-in that the person may not have asked for', () => {
  const elsewhere = { 'sec-fetch-site': 'cross-site' }
  const typed = { 'sec-fetch-site': 'none' }
  /** The link of the page that asks, once it is clear that it asks and has changed nothing. */
  const linkOf = (reply: Reply, path: string): string => {
    assert.equal(reply.status, 200, reply.text)
    assert.match(reply.text, /Sign in through an identity provider\?/)
    assert.equal(reply.headers.location, undefined)
    assert.equal(reply.headers.refresh, undefined)
    assert.ok(!setCookies(reply).some((cookie) => cookie.startsWith(sessionCookieName)))
    const [, href = ''] = /href="([^"]+)"/.exec(reply.text) ?? []
    return pathOf(new URL(href.replaceAll('&amp;', '&'), `https://hitl.example.com${path}`))
  }
  const signedIn = async () => (await signInBy(t, provider, newcomer())).browser

  test('another page’s link asks first, and goes on with a press', async () => {
    const browser = createBrowser(t)
    for (const site of ['cross-site', 'same-site']) {
      const path = startPath(provider.id, '?return_to=/inbox')
      const link = linkOf(await browser.get(path, { 'sec-fetch-site': site }), path)
      const reply = await browser.get(link, ownPage)
      assert.equal(reply.status, 303)
      assert.ok(String(reply.headers.location).startsWith(op.issuer))
    }
  })

  test('a link from outside the browser asks only where somebody is signed in', async () => {
    assert.equal((await createBrowser(t).get(startPath(provider.id), typed)).status, 303)
    const browser = await signedIn()
    for (const headers of [typed, {}]) {
      const link = linkOf(await browser.get(startPath(provider.id), headers), startPath(provider.id))
      // Over plain http a browser says nothing of where a link was.
      assert.equal((await browser.get(link, {})).status, 303)
    }
  })

  test('another page cannot answer for the person', async () => {
    const browser = await signedIn()
    await browser.get(startPath(provider.id), ownPage)
    for (const query of ['?confirmed=', '?confirmed=1', `?confirmed=${'A'.repeat(43)}`]) {
      linkOf(await browser.get(startPath(provider.id, query), elsewhere), startPath(provider.id))
    }
  })

  test('the browser that comes back from the provider comes again from here, where it sends its cookies', async () => {
    const browser = createBrowser(t)
    const answer = await answerOf(browser, provider, newcomer())
    const first = await browser.get(answer, elsewhere)
    assert.equal(first.status, 200)
    assert.ok(!browser.cookies.has(sessionCookieName))
    const [, next = ''] = /^0; url=(.+)$/.exec(String(first.headers.refresh)) ?? []
    const path = pathOf(new URL(next, `https://hitl.example.com${answer}`))
    assert.equal((await browser.get(path, ownPage)).status, 303)
    assert.ok(browser.cookies.has(sessionCookieName))
  })

  test('an answer asks first while another person is signed in, whatever the provider adds to it', async () => {
    for (const [more, headers] of [
      ['', ownPage],
      ['', {}],
      ['&again=1', elsewhere],
      ['&again=1&confirmed=1', ownPage],
    ] as const) {
      const browser = createBrowser(t)
      const session = (await signedIn()).cookies.get(sessionCookieName) ?? ''
      const answer = await answerOf(browser, provider, newcomer())
      browser.cookies.set(sessionCookieName, session)
      const link = linkOf(await browser.get(answer + more, headers), answer)
      assert.equal(browser.cookies.get(sessionCookieName), session)
      assert.equal((await browser.get(link, ownPage)).status, 303)
      assert.notEqual(browser.cookies.get(sessionCookieName), session)
    }
  })

  test('a person who signs in anew from a page of the service is not asked', async () => {
    const browser = await signedIn()
    const answer = await answerOf(browser, provider, newcomer())
    assert.equal((await browser.get(`${answer}&again=1`, ownPage)).status, 303)
  })
})

describe('a forged or unfit ID token', () => {
  for (const [what, forge, reason] of [
    ['with another nonce', ({ payload }: Issued) => op.sign({ ...payload, nonce: 'other' }), /nonce/],
    ['for another client', ({ payload }: Issued) => op.sign({ ...payload, aud: 'other' }), /aud/],
    ['of another issuer', ({ payload }: Issued) => op.sign({ ...payload, iss: 'https://x.example.com' }), /iss/],
    ['that has expired', ({ payload }: Issued) => op.sign({ ...payload, exp: 1 }), /timestamp/],
    ['without signature', ({ payload }: Issued) => `${b64({ alg: 'none' })}.${b64(payload)}.`, /invalid/],
  ] as const) {
    test(`403 ${what}: nobody is signed in or created, and the audit says why`, async () => {
      const person = newcomer()
      op.forge(forge)
      try {
        const { reply } = await signInBy(t, provider, person)
        assert.equal(reply.status, 403)
        isRefused(reply, 'sso.answer_refused')
        assert.match(String(await lastReason()), reason)
        assert.equal((await t.sql('select from users where email = $1', [person.email])).length, 0)
      } finally {
        op.forge(null)
      }
    })
  }

  for (const [what, claims, reason, detail] of [
    ['whose subject is empty', { sub: '' }, 'subject_unfit', /1 to 255/],
    ['whose subject has a NUL', { sub: 'a\0b' }, 'subject_unfit', /no NUL/],
    ['whose subject has 3 000 characters', { sub: 'x'.repeat(3_000) }, 'subject_unfit', /1 to 255/],
    ['whose subject is half a character', { sub: 'a\ud800' }, 'subject_unfit', /well-formed/],
    ['for another client of the same provider', { azp: 'other' }, 'other_client', /another client/],
    [
      'with 1 001 groups',
      { groups: Array.from({ length: 1_001 }, String) },
      'too_many_values',
      /more than 1000 values/,
    ],
    ['with 60 000 groups', { groups: Array.from({ length: 60_000 }, String) }, 'reply_too_long', /longer than 128 KiB/],
  ] as const) {
    test(`403 with the reason ${what}`, async () => {
      const grouped = await anotherProvider({
        creates_members: true,
        default_role: 'reviewer',
        role_claim: 'groups',
        role_map: { admins: 'admin' },
      })
      grouped.op.forge(({ payload }) => grouped.op.sign({ ...payload, ...claims }))
      const { reply } = await signInBy(t, grouped, newcomer())
      assert.equal(reply.status, 403)
      isRefused(reply, 'sso.answer_refused')
      assert.match(reply.body.detail, detail)
      assert.equal(await lastReason(), reason)
    })
  }

  for (const [what, path, body, reason, detail] of [
    ['a private key in its key set', '/jwks', { key: 'private' }, 'malformed', /must reply 200 with JSON/],
    ['no key', '/jwks', { keys: [] }, 'oauth_key_selection_failed', /not in its key set \(jwks_uri\) exactly once/],
    ['a page', '/token', '<html>', 'oauth_parse_error', /must reply 200 with JSON/],
    ['another person’s userinfo', '/me', { sub: 'x' }, 'oauth_json_attribute_comparison_failed', /another person/],
    [
      'a refusal of the client',
      '/token',
      { error: 'invalid_client' },
      'token_endpoint_invalid_client',
      /client secret/,
    ],
  ] as const) {
    test(`403 that names what to change there: ${what}`, async () => {
      const odd = await anotherProvider({
        creates_members: true,
        default_role: 'reviewer',
        role_claim: 'no_such_claim',
        role_map: { admins: 'admin' },
      })
      const browser = createBrowser(t)
      const answer = await answerOf(browser, odd, newcomer())
      odd.op.replace(path, (response) => {
        response.setHeader('content-type', 'application/json')
        if (typeof body === 'string') return response.end(body)
        if ('error' in body) return response.writeHead(400).end(JSON.stringify(body))
        const key = { ...odd.op.privateKey.export({ format: 'jwk' }), kid: odd.op.keyId }
        return response.end(JSON.stringify('key' in body ? { keys: [key] } : body))
      })
      const reply = await browser.get(answer)
      assert.equal(reply.status, 403)
      isRefused(reply, 'sso.answer_refused')
      assert.match(reply.body.detail, detail)
      assert.equal(await lastReason(), reason)
    })
  }

  test('403 that names what to change there, on the way to a provider whose metadata became unfit', async () => {
    const odd = await anotherProvider()
    const metadata = { issuer: odd.op.issuer, authorization_endpoint: 'http://accounts.example.com' }
    odd.op.replace('/.well-known/openid-configuration', (response) =>
      response.setHeader('content-type', 'application/json').end(JSON.stringify(metadata)),
    )
    const reply = await t.call('GET', startPath(odd.id))
    isRefused(reply, 'sso.answer_refused')
    assert.match(reply.body.detail, /endpoint that is not https/)
  })

  test('503 when the provider fails at the last step', async () => {
    op.replace('/token', (response) => response.writeHead(502).end())
    const { reply } = await signInBy(t, provider, newcomer())
    op.replace('/token', null)
    assert.equal(reply.status, 503)
    assert.equal(reply.body.code, 'sso.provider_unavailable')
  })

  test('403 without the text of the provider when it refuses', async () => {
    const browser = createBrowser(t)
    const [path, text] = (await answerOf(browser, provider, newcomer())).split('?')
    const state = new URLSearchParams(text).get('state') ?? ''
    const query = new URLSearchParams({
      error: 'access_denied',
      error_description: '<script>alert(1)</script>',
      state,
      iss: op.issuer,
    })
    const cookie = `${flowCookieName}=${browser.cookies.get(flowCookieName)}`
    const headers = { cookie, accept: 'text/html,*/*;q=0.8' }
    const reply = await t.app.http.inject({ method: 'GET', url: `${path}?${query}`, headers })
    assert.equal(reply.statusCode, 403)
    assert.match(String(reply.headers['content-type']), /^text\/html/)
    assert.match(reply.body, /did not let you in/)
    assert.doesNotMatch(reply.body, /script/)
    assert.match(String(reply.headers['content-security-policy']), /default-src 'none'/)
  })
})

describe('what is changed while the provider answers', () => {
  const removed = { method: 'DELETE', body: undefined }
  for (const [what, { method, body }] of Object.entries({
    'is switched off': { method: 'PATCH', body: { is_active: false } },
    'is deleted': removed,
    'gives another role': { method: 'PATCH', body: { default_role: 'auditor' } },
  })) {
    test(`counts: nobody comes in by a provider that ${what}`, async () => {
      const { admin, organizationId } = await addCompany(t)
      const settings = { creates_members: true, default_role: 'admin' }
      const provider = await addProvider(t, settings, { op, as: await signedIn(t, admin) })
      const answer = async (sub: string, meanwhile: () => Promise<unknown>) => {
        const browser = createBrowser(t)
        const path = await answerOf(browser, provider, { sub, email: `${sub}@example.com`, email_verified: true })
        op.forge(async ({ payload }) => {
          await meanwhile()
          return op.sign(payload)
        })
        return browser.get(path).finally(() => op.forge(null))
      }
      const known = `known-${provider.id}`
      assert.equal((await answer(known, async () => {})).status, 303)
      const members = async () =>
        t.sql(
          'select u.id, u.role, i.last_used_at from users u left join sso_identities i on i.user_id = u.id where u.organization_id = $1 order by u.id',
          [organizationId],
        )
      const before = (await members()).map(({ id, role }) => ({ id, role }))
      const path = `/api/v1/identity-providers/${provider.id}`
      const change = async () => {
        const options = { as: await signedIn(t, admin), ...(body === undefined ? {} : { body }) }
        const reply = await t.call(method, path, options)
        assert.ok(reply.status < 300, reply.text)
      }
      const refused = await answer(`new-${provider.id}`, change)
      assert.ok([403, 404].includes(refused.status), refused.text)
      assert.deepEqual(
        (await members()).map(({ id, role }) => ({ id, role })),
        before,
      )
    })
  }

  test('nobody becomes a member of an organization that is being deleted; after that its provider is not there', async () => {
    const { owner, name, organizationId } = await addCompany(t)
    const settings = { creates_members: true, default_role: 'admin' }
    const provider = await addProvider(t, settings, { op, as: await signedIn(t, owner) })
    const asked = await t.call('POST', '/api/v1/organization/delete', { as: await signedIn(t, owner), body: { name } })
    assert.equal(asked.status, 202, asked.text)
    const { reply } = await signInBy(t, provider, { sub: 'late', email: 'late@example.com', email_verified: true })
    assert.equal(reply.status, 403, reply.text)
    assert.equal((await t.sql('select from users where organization_id = $1', [organizationId])).length, 4)
    await t.sql('update organizations set deleted_at = now() where organization_id = $1', [organizationId])
    assert.equal((await createBrowser(t).get(startPath(provider.id), ownPage)).status, 404)
  })
})

describe('roles from claims', () => {
  let mapped: TestProvider
  before(async () => {
    mapped = await anotherProvider({
      creates_members: true,
      role_claim: 'groups',
      role_map: { admins: 'admin', reviewers: 'reviewer', auditors: 'auditor' },
    })
  })
  const roleWith = async (person: ProvidedPerson): Promise<string> =>
    (await me((await signInBy(t, mapped, person)).browser)).role

  test('the highest mapped role counts', async () => {
    assert.equal(await roleWith(newcomer({ groups: ['auditors', 'admins', 'reviewers'] })), 'admin')
    assert.equal(await roleWith(newcomer({ groups: 'auditors' })), 'auditor')
  })

  test('a change takes effect at the next sign-in, up and down, and is an event', async () => {
    const person = newcomer({ groups: ['reviewers'] })
    assert.equal(await roleWith(person), 'reviewer')
    assert.equal(await roleWith({ ...person, groups: ['admins'] }), 'admin')
    assert.equal(await roleWith({ ...person, groups: ['auditors'] }), 'auditor')
    const [up, down] = (await eventsOf('user.role_changed')).slice(-2)
    assert.deepEqual([up?.before, up?.after], [{ role: 'reviewer' }, { role: 'admin', because: 'claims' }])
    assert.deepEqual([down?.before, down?.after], [{ role: 'admin' }, { role: 'auditor', because: 'claims' }])
  })

  test('a changed mapping takes effect at the next sign-in', async () => {
    const person = newcomer({ groups: ['crew'] })
    isRefused((await signInBy(t, mapped, person)).reply, 'sso.no_role')
    const role_map = { admins: 'admin', reviewers: 'reviewer', auditors: 'auditor', crew: 'auditor' }
    assert.equal((await mapped.change({ role_map })).status, 200)
    assert.equal(await roleWith(person), 'auditor')
  })

  test('403 for a member whose groups no longer give a role; their stored role is unchanged', async () => {
    const person = newcomer({ groups: ['reviewers'] })
    await roleWith(person)
    isRefused((await signInBy(t, mapped, { ...person, groups: ['none'] })).reply, 'sso.no_role')
    assert.equal(await lastReason(), 'no_role')
    assert.equal(await roleWith(person), 'reviewer')
  })

  test('nobody becomes owner by a claim, a mapping or a default', async () => {
    for (const groups of ['owner', ['owner'], ['owners', 'reviewers']]) {
      const { reply, browser } = await signInBy(t, mapped, newcomer({ groups, role: 'owner' }))
      if (reply.status === 303) assert.equal((await me(browser)).role, 'reviewer')
      else isRefused(reply, 'sso.no_role')
    }
    for (const settings of [{ role_map: { owners: 'owner' } }, { default_role: 'owner' }]) {
      assert.equal((await mapped.change(settings)).status, 422)
    }
  })

  test('the owner stays the owner, whatever the claims say', async () => {
    const person = newcomer({ groups: ['reviewers'] })
    await roleWith(person)
    await t.sql(`update users set role = 'owner' where email = $1`, [person.email])
    assert.equal(await roleWith({ ...person, groups: ['auditors'] }), 'owner')
    assert.equal(await roleWith({ ...person, groups: [] }), 'owner')
    await t.sql(`update users set role = 'reviewer' where email = $1`, [person.email])
  })

  test('the last member who can manage the organization is not demoted', async () => {
    const person = newcomer({ groups: ['admins'] })
    await roleWith(person)
    const demoted = await t.sql(
      `update users set role = 'auditor' where role in ('admin', 'owner') and email <> $1 returning id`,
      [person.email],
    )
    assert.equal(await roleWith({ ...person, groups: ['auditors'] }), 'admin')
    await t.sql(`update users set role = 'admin' where id = any ($1)`, [demoted.map(({ id }) => id)])
    assert.equal(await roleWith({ ...person, groups: ['auditors'] }), 'auditor')
  })

  test('of two administrators who lose the role at once, one keeps it', async () => {
    const people = [newcomer({ groups: ['admins'] }), newcomer({ groups: ['admins'] })]
    for (const person of people) await roleWith(person)
    const emails = people.map(({ email }) => email)
    const demoted = await t.sql(
      `update users set role = 'auditor' where role in ('admin', 'owner') and email <> all ($1) returning id`,
      [emails],
    )
    for (let round = 0; round < 10; round += 1) {
      await t.sql(`update users set role = 'admin' where email = any ($1)`, [emails])
      const arrivals: (() => Promise<string>)[] = []
      // One after the other at the provider, which can sign in only one person at a time.
      for (const person of people) {
        const browser = createBrowser(t)
        const answer = await answerOf(browser, mapped, { ...person, groups: ['auditors'] })
        arrivals.push(async () => {
          await browser.get(answer)
          return (await me(browser)).role
        })
      }
      const roles = await Promise.all(arrivals.map((arrive) => arrive()))
      assert.deepEqual(roles.toSorted(), ['admin', 'auditor'])
    }
    await t.sql(`update users set role = 'auditor' where email = any ($1)`, [emails])
    await t.sql(`update users set role = 'admin' where id = any ($1)`, [demoted.map(({ id }) => id)])
  })

  test('names that every object inherits are neither claims nor mappings', async () => {
    const odd = await anotherProvider({ creates_members: true, role_claim: 'constructor', role_map: { a: 'admin' } })
    isRefused((await signInBy(t, odd, newcomer())).reply, 'sso.no_role')
    for (const group of ['constructor', '__proto__', 'toString']) {
      isRefused((await signInBy(t, mapped, newcomer({ groups: [group] }))).reply, 'sso.no_role')
    }
  })

  test('a claim may be nested', async () => {
    const deep = await anotherProvider({
      creates_members: true,
      role_claim: 'realm_access.roles',
      role_map: { lead: 'admin' },
    })
    const { browser } = await signInBy(t, deep, newcomer({ realm_access: { roles: ['lead'] } }))
    assert.equal((await me(browser)).role, 'admin')
  })
})

describe('teams from claims', () => {
  test('claims decide membership of mapped teams at every sign-in; other teams are left alone', async () => {
    const [red, blue, own] = [randomUUID(), randomUUID(), randomUUID()]
    for (const id of [red, blue, own]) {
      await t.sql(
        'insert into teams (organization_id, id, name, created_at, updated_at) values ($1, $2, $3, now(), now())',
        [t.organizationId, id, id],
      )
    }
    const mapped = await anotherProvider({
      creates_members: true,
      default_role: 'reviewer',
      team_claim: 'groups',
      team_map: { red: red.toUpperCase(), blue },
    })
    const person = newcomer({ groups: ['red', 'unknown'] })
    const teams = async () =>
      (
        await t.sql('select team_id from team_members m join users u on u.id = m.user_id where u.email = $1', [
          person.email,
        ])
      )
        .map(({ team_id }) => team_id)
        .sort()
    const user = await me((await signInBy(t, mapped, person)).browser)
    assert.deepEqual(await teams(), [red])
    await t.sql('insert into team_members (organization_id, team_id, user_id, created_at) values ($1, $2, $3, now())', [
      t.organizationId,
      own,
      user.id,
    ])
    await signInBy(t, mapped, { ...person, groups: ['blue'] })
    assert.deepEqual(await teams(), [blue, own].sort())
    assert.deepEqual((await eventsOf('user.teams_changed')).at(-1)?.after, {
      joined: [blue],
      left: [red],
      because: 'claims',
    })
    await t.sql('delete from teams where id = $1', [red])
    assert.equal((await signInBy(t, mapped, { ...person, groups: ['red', 'blue'] })).reply.status, 303)
    assert.deepEqual(await teams(), [blue, own].sort())
  })
})

describe('a member who links an identity', () => {
  const linkPath = (id: string) => `/api/v1/auth/sso/${id}/link`

  const link = async (
    as: string,
    person: ProvidedPerson,
    to = provider,
    browser = createBrowser(t),
  ): Promise<Reply> => {
    const begun = await browser.call('POST', linkPath(to.id), { as, body: { return_to: '/settings' } })
    assert.equal(begun.status, 200, begun.text)
    to.op.signsIn(person)
    const answer = await to.op.visit(begun.body.authorization_url)
    return browser.get(answer.pathname + answer.search)
  }

  test('can then sign in through it as the same member, until it is unlinked', async () => {
    const closed = await anotherProvider()
    const member = await newPerson(t, 'linking@example.com')
    const person = newcomer()
    isRefused((await signInBy(t, closed, person)).reply, 'sso.not_a_member')
    const linked = await link(member.token, person, closed)
    assert.equal(linked.status, 303, linked.text)
    assert.equal(linked.headers.location, 'https://hitl.example.com/settings')
    assert.ok(!setCookies(linked).some((cookie) => cookie.startsWith(sessionCookieName)))
    assert.equal((await me((await signInBy(t, closed, person)).browser)).id, member.userId)

    const list = await t.call('GET', '/api/v1/auth/sso/identities', { as: member.token })
    assert.deepEqual(
      list.body.items.map(({ issuer, subject }: Record<string, unknown>) => ({ issuer, subject })),
      [{ issuer: closed.op.issuer, subject: person.sub }],
    )
    const path = `/api/v1/auth/sso/identities/${list.body.items[0].id}`
    assert.equal((await t.call('DELETE', path, { as: t.reviewer.token })).status, 404)
    assert.equal((await t.call('DELETE', path, { as: member.token })).status, 204)
    isRefused((await signInBy(t, closed, person)).reply, 'sso.not_a_member')
    for (const kind of ['sso.link_begun', 'sso.linked', 'sso.unlinked']) {
      assert.ok((await eventsOf(kind)).length > 0, kind)
    }
  })

  test('409 for an identity of another member; linking the same one again is fine', async () => {
    const [one, two] = [await newPerson(t, 'one@example.com'), await newPerson(t, 'two@example.com')]
    const person = newcomer()
    assert.equal((await link(one.token, person)).status, 303)
    assert.equal((await link(one.token, person)).status, 303)
    const reply = await link(two.token, person)
    assert.equal(reply.status, 409)
    isRefused(reply, 'sso.linked_elsewhere')
  })

  test('a link begun by an attacker and finished by a victim links nothing', async () => {
    const attacker = await newPerson(t, 'attacker@example.com')
    const begun = await createBrowser(t).call('POST', linkPath(provider.id), { as: attacker.token, body: {} })
    op.signsIn(newcomer())
    const answer = await op.visit(begun.body.authorization_url)
    const victim = createBrowser(t)
    await victim.get(startPath(provider.id))
    isRefused(await victim.get(answer.pathname + answer.search), 'sso.not_begun_here')
    const identities = await t.call('GET', '/api/v1/auth/sso/identities', { as: attacker.token })
    assert.deepEqual(identities.body.items, [])
  })

  test('403 without a step-up: an old session alone is not enough', async () => {
    const member = await newPerson(t, 'stale@example.com')
    await t.sql(`update sessions set signed_in_at = now() - interval '3 days' where user_id = $1`, [member.userId])
    const reply = await t.call('POST', linkPath(provider.id), { as: member.token, body: {} })
    assert.equal(reply.status, 403)
    assert.equal(reply.body.code, 'auth.step_up_required')
  })

  test('404 for a provider of another organization', async () => {
    const member = await newPerson(t, 'abroad@example.com')
    const other = await addOrganization(t, member.userId)
    const reply = await t.call('POST', linkPath(provider.id), { as: other.token, body: {} })
    assert.equal(reply.status, 404)
  })

  test('403 with an API key, 401 without a credential, 422 for a way back to another site', async () => {
    assert.equal((await t.call('POST', linkPath(provider.id), { as: t.apiKey, body: {} })).status, 403)
    assert.equal((await t.call('POST', linkPath(provider.id), { body: {} })).status, 401)
    const body = { return_to: '//evil.example.com' }
    assert.equal((await t.call('POST', linkPath(provider.id), { as: t.reviewer.token, body })).status, 422)
  })
})

describe('a person whom the provider remembers', () => {
  const signedInAt = async (authTime: unknown): Promise<{ readonly at: number; readonly as: string }> => {
    op.forge(({ payload }) => op.sign({ ...payload, auth_time: authTime }))
    try {
      const { browser } = await signInBy(t, provider, newcomer())
      const as = await tokenOf(browser)
      const [session] = (await t.call('GET', '/api/v1/auth/sessions', { as })).body.items
      return { at: Date.parse(session.signed_in_at), as }
    } finally {
      op.forge(null)
    }
  }

  test('has proved nothing since: a sensitive act needs a new sign-in', async () => {
    const longAgo = Math.floor(t.clock.now().getTime() / 1_000) - 3 * 86_400
    const { at, as } = await signedInAt(longAgo)
    assert.equal(at, longAgo * 1_000)
    const reply = await t.call('POST', '/api/v1/auth/factors/totp', { as })
    assert.equal(reply.body.code, 'auth.step_up_required')
  })

  test('has not signed in later than now, and now where the provider does not say when', async () => {
    for (const authTime of [Math.floor(t.clock.now().getTime() / 1_000) + 86_400, 1e300, undefined]) {
      const { at, as } = await signedInAt(authTime)
      assert.ok(Math.abs(at - t.clock.now().getTime()) < 60_000, `${authTime}: ${at}`)
      assert.equal((await t.call('POST', '/api/v1/auth/factors/totp', { as })).status, 201)
    }
  })

  test('is asked to prove themselves there when they sign in again, and only then', async () => {
    const maxAge = async (browser: ReturnType<typeof createBrowser>): Promise<string | null> => {
      const { headers } = await browser.get(startPath(provider.id), ownPage)
      return new URL(String(headers.location)).searchParams.get('max_age')
    }
    assert.equal(await maxAge(createBrowser(t)), null)
    const { browser } = await signInBy(t, provider, newcomer())
    assert.equal(await maxAge(browser), '0')
  })
})

describe('an organization’s provider', () => {
  test('cannot void the links of an account, such as one to a new password', async () => {
    const member = await newPerson(t, 'linked@example.com')
    const person = newcomer()
    await t.sql(
      `insert into sso_identities (organization_id, id, issuer, subject, user_id, created_at)
       values ($1, $2, $3, $4, $5, now())`,
      [t.organizationId, randomUUID(), op.issuer, person.sub, member.userId],
    )
    const open = async () => {
      const query = `select l.id from account_links l join users u on u.account_id = l.account_id where u.id = $1`
      return (await t.sql(query, [member.userId])).length
    }
    const openAfter = async (as: string): Promise<number> => {
      await t.sql(
        `insert into account_links (id, account_id, purpose, token_hash, expires_at, created_at, from_known_network)
         select $2::uuid, account_id, 'password_reset', sha256($2::uuid::text::bytea), now() + interval '1 hour', now(), true
         from users where id = $1`,
        [member.userId, randomUUID()],
      )
      const reply = await t.call('POST', '/api/v1/auth/sessions/revoke-others', { as })
      assert.equal(reply.status, 200, reply.text)
      return open()
    }
    assert.equal(await openAfter(member.token), 0)
    const { browser } = await signInBy(t, provider, person)
    assert.equal(await openAfter(await tokenOf(browser)), 1)
  })

  test('gives access to that organization only: its people cannot switch, those with a password can', async () => {
    const member = await newPerson(t, 'in-two@example.com')
    const other = await addOrganization(t, member.userId)
    const person = newcomer()
    await t.sql(
      `insert into sso_identities (organization_id, id, issuer, subject, user_id, created_at)
       values ($1, $2, $3, $4, $5, now())`,
      [t.organizationId, randomUUID(), op.issuer, person.sub, member.userId],
    )
    const { browser } = await signInBy(t, provider, person)
    const body = { organization_id: other.organizationId }
    const reply = await t.call('POST', '/api/v1/auth/switch', { as: await tokenOf(browser), body })
    assert.equal(reply.status, 403)
    assert.equal(reply.body.code, 'sso.other_organization')
    assert.equal((await t.call('POST', '/api/v1/auth/switch', { as: member.token, body })).status, 200)
  })

  test('cannot add a factor to an account with a password, but can to one without', async () => {
    const member = await newPerson(t, 'own-password@example.com')
    const person = newcomer()
    await t.sql(
      `insert into sso_identities (organization_id, id, issuer, subject, user_id, created_at)
       values ($1, $2, $3, $4, $5, now())`,
      [t.organizationId, randomUUID(), op.issuer, person.sub, member.userId],
    )
    const enrol = async (browser: ReturnType<typeof createBrowser>): Promise<Reply> =>
      t.call('POST', '/api/v1/auth/factors/totp', { as: await tokenOf(browser) })
    const linked = await enrol((await signInBy(t, provider, person)).browser)
    assert.equal(linked.status, 403)
    assert.equal(linked.body.code, 'auth.step_up_required')
    assert.deepEqual(linked.body.methods, ['password'])
    assert.equal((await enrol((await signInBy(t, provider, newcomer())).browser)).status, 201)
  })

  test('the same provider in two organizations knows two members', async () => {
    const owner = await newPerson(t, 'owns-two@example.com')
    const other = await addOrganization(t, owner.userId, 'admin')
    const there = await addProvider(t, { creates_members: true, default_role: 'auditor' }, { op, as: other.token })
    const person = newcomer()
    const here = await me((await signInBy(t, provider, person)).browser)
    const elsewhere = await me((await signInBy(t, there, person)).browser)
    assert.notEqual(here.id, elsewhere.id)
    assert.deepEqual([here.role, elsewhere.role], ['reviewer', 'auditor'])
    const organizations = await t.sql('select organization_id from users where email = $1', [person.email])
    assert.equal(new Set(organizations.map(({ organization_id }) => organization_id)).size, 2)
  })

  test('403 for a member who was deactivated', async () => {
    const person = newcomer()
    await signInBy(t, provider, person)
    await t.sql('update users set is_active = false where email = $1', [person.email])
    isRefused((await signInBy(t, provider, person)).reply, 'sso.member_inactive')
  })
})

interface Issued {
  readonly payload: Readonly<Record<string, unknown>>
}

function b64(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

test('somebody with the database names another issuer: the client secret is not sent there', async (context) => {
  const [trusted, stranger] = [await anotherProvider(), await startOpenIdProvider()]
  context.after(() => stranger.close())
  stranger.register(...trusted.op.redirectUris)
  await t.sql('update identity_providers set issuer = $2 where id = $1', [trusted.id, stranger.issuer])
  const reply = await t.call('GET', startPath(trusted.id), { headers: ownPage })
  assert.equal(reply.status, 503, reply.text)
  assert.equal(reply.body.code, 'sso.provider_unavailable')
})
