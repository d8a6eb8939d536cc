import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { Reply, TestApp } from '../../harness.ts'
import { freePort, startReceiver } from '../../receivers.ts'
import { recordedEvents } from '../../recorded-events.ts'
import { addOrganization, newPerson, type TestPerson } from '../recovery/accounts.ts'
import { clientId, clientSecret, type OpenIdProvider, startOpenIdProvider } from './openid-provider.ts'
import {
  addProvider,
  type Browser,
  createBrowser,
  publicUrl,
  signInBy,
  startSsoApp,
  type TestProvider,
  tokenOf,
} from './sso-app.ts'

const path = '/api/v1/identity-providers'

let t: TestApp
let op: OpenIdProvider
before(async () => {
  t = await startSsoApp()
  op = await startOpenIdProvider()
})
after(async () => {
  await t.stop()
  await op.close()
})

let clients = 0
const settings = (more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => {
  clients += 1
  return { name: 'Accounts', issuer: op.issuer, client_id: `client-${clients}`, ...more }
}
const create = (more = {}, as = t.admin.token, headers: Readonly<Record<string, string>> = {}): Promise<Reply> =>
  t.call('POST', path, { as, body: settings(more), headers })
const created = async (more = {}): Promise<Reply['body']> => {
  const reply = await create(more)
  assert.equal(reply.status, 201, reply.text)
  return reply.body
}
const change = (id: string, body: object, as = t.admin.token): Promise<Reply> =>
  t.call('PATCH', `${path}/${id}`, { as, body })
const eventsOf = (id: string) => recordedEvents(t.sql, { subject: id })
const fieldOf = (reply: Reply): unknown => {
  assert.equal(reply.status, 422, reply.text)
  return reply.body.errors[0].path
}

describe('adding a provider', () => {
  test('201 with what has to be registered at the provider; the secret is never shown again', async () => {
    const secret = 'n0body-may-r3ad-this'
    const body = await created({ client_secret: secret, scopes: ['openid', 'email'], email_domains: ['Example.COM'] })
    assert.equal(body.redirect_uri, `${publicUrl}/api/v1/auth/sso/${body.id}/callback`)
    assert.equal(body.start_url, `${publicUrl}/api/v1/auth/sso/${body.id}/start`)
    assert.deepEqual(
      [body.has_client_secret, body.scopes, body.email_domains, body.is_enforced, body.proven_at],
      [true, ['email'], ['example.com'], false, null],
    )
    const replies = [
      await t.call('GET', path, { as: t.admin.token }),
      await t.call('GET', `${path}/${body.id.toUpperCase()}`, { as: t.admin.token }),
      await change(body.id, { name: 'Renamed' }),
    ]
    const [row] = await t.sql('select row_to_json(p)::text as row from identity_providers p where id = $1', [body.id])
    const events = await eventsOf(body.id)
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['identity_provider.created', 'identity_provider.changed'],
    )
    for (const text of [...replies.map((reply) => reply.text), String(row?.row), JSON.stringify(events)]) {
      assert.ok(text.includes(body.id) && !text.includes(secret))
    }
  })

  test('the event has the person, their step-up and the new settings', async () => {
    const { id } = await created({ role_claim: 'groups', role_map: { a: 'admin' } })
    const [event] = await eventsOf(id)
    assert.equal(event?.actor.id, t.admin.id)
    assert.match(String(event?.digest), /^[0-9a-f]{64}$/)
    assert.deepEqual(event?.after.role_map, { a: 'admin' })
    assert.ok(event?.after.assurance)
  })

  test('the same Idempotency-Key and body create one provider', async () => {
    const [body, headers] = [settings(), { 'idempotency-key': randomUUID() }]
    const first = await t.call('POST', path, { as: t.admin.token, body, headers })
    const again = await t.call('POST', path, { as: t.admin.token, body, headers })
    assert.deepEqual([first.status, again.status, again.body.id], [201, 201, first.body.id])
    assert.equal(again.headers['idempotency-replayed'], 'true')
    const other = await t.call('POST', path, { as: t.admin.token, body: { ...body, name: 'Other' }, headers })
    assert.equal(other.status, 422)
  })

  test('409 for a client at an issuer that already exists', async () => {
    const body = settings()
    assert.equal((await t.call('POST', path, { as: t.admin.token, body })).status, 201)
    assert.equal((await t.call('POST', path, { as: t.admin.token, body })).body.code, 'identity_provider.exists')
  })

  test('403 for reviewers, auditors and API keys, 401 without a credential', async () => {
    const auditor = await newPerson(t, 'auditor@example.com', 'auditor')
    for (const as of [t.reviewer.token, auditor.token, t.apiKey]) {
      assert.equal((await create({}, as)).status, 403)
      assert.equal((await t.call('GET', path, { as })).status, 403)
      assert.equal((await t.call('DELETE', `${path}/${randomUUID()}`, { as })).status, 403)
    }
    assert.equal((await t.call('POST', path, { body: settings() })).status, 401)
    const owner = await newPerson(t, 'owner@example.com', 'owner')
    assert.equal((await create({}, owner.token)).status, 201)
    await t.sql(`update users set role = 'reviewer' where id = $1`, [owner.userId])
  })

  test('403 without a step-up: an old session is not enough', async () => {
    const admin = await newPerson(t, 'old-session@example.com', 'admin')
    const { id } = await created()
    await t.sql(`update sessions set signed_in_at = now() - interval '3 days' where user_id = $1`, [admin.userId])
    for (const reply of [
      await create({}, admin.token),
      await change(id, { is_active: false }, admin.token),
      await t.call('DELETE', `${path}/${id}`, { as: admin.token }),
    ]) {
      assert.equal(reply.status, 403)
      assert.equal(reply.body.code, 'auth.step_up_required')
    }
    assert.equal((await t.call('GET', `${path}/${id}`, { as: admin.token })).body.is_active, true)
  })
})

describe('an issuer', () => {
  for (const issuer of [
    'http://accounts.example.com',
    'ftp://accounts.example.com',
    'accounts.example.com',
    'https://accounts.example.com?x=y',
    'https://accounts.example.com#x',
    'https://accounts.example.com/?',
    'https://user:password@accounts.example.com',
    'https://accounts.example.com/.well-known/openid-configuration',
    'javascript:alert(1)',
    'file:///etc/passwd',
    'https://10.0.0.1',
    'https://169.254.169.254/latest',
    'https://[::1]',
    'https://metadata.internal',
    'https://localhost',
    'https://0x7f000001',
    '',
  ]) {
    test(`422: ${issuer}`, async () => {
      assert.equal(fieldOf(await create({ issuer })), 'issuer')
    })
  }

  test('422 if nothing is there, for another service or issuer, an extra slash, and an internal address', async () => {
    const other = await startReceiver({ behaviour: { body: '<html>' } })
    const mistakes = [
      [`http://127.0.0.1:${await freePort()}`, /could not be reached/],
      [other.url, /does not answer as an OpenID provider/],
      [`${op.issuer}/`, new RegExp(`is not how this provider names itself: send "${op.issuer}"`)],
      ['https://10.0.0.1', /^issuer is refused: The identity provider host 10\.0\.0\.1 is .*with SSO_ALLOW\.$/],
    ] as const
    for (const [issuer, message] of mistakes) {
      const reply = await create({ issuer })
      assert.equal(fieldOf(reply), 'issuer')
      assert.match(reply.body.detail, message)
    }
    await other.close()
  })
})

describe('invalid settings', () => {
  for (const [field, more] of [
    ['role_map.x', { role_claim: 'groups', role_map: { x: 'owner' } }],
    ['default_role', { default_role: 'owner' }],
    ['role_map', { role_map: { x: 'admin' } }],
    ['team_map', { team_map: { x: randomUUID() } }],
    ['team_map', { team_claim: 'groups', team_map: { x: randomUUID() } }],
    ['team_map.x', { team_claim: 'groups', team_map: { x: 'red' } }],
    ['default_role', { creates_members: true }],
    ['is_enforced', { is_enforced: true, is_active: false }],
    ['client_id', { client_id: '' }],
    ['client_id', { client_id: 'a\nb' }],
    ['client_secret', { client_secret: 'grün' }],
    ['scopes.0', { scopes: ['a b'] }],
    ['email_domains.0', { email_domains: ['@example.com'] }],
    ['name', { name: '' }],
  ] as const) {
    test(`422 for ${field}: ${JSON.stringify(more).slice(0, 70)}`, async () => {
      assert.equal(fieldOf(await create(more)), field)
    })
  }

  test('422 for a change without known fields, and 200 for an empty one', async () => {
    const { id } = await created()
    assert.equal((await change(id, { colour: 'red' })).status, 422)
    assert.equal((await change(id, {})).status, 200)
  })
})

describe('changing a provider', () => {
  test('the stored secret is not sent to another issuer: it must be given again', async () => {
    const { id } = await created({ client_secret: 'for the first one only' })
    const other = await startOpenIdProvider()
    assert.equal(fieldOf(await change(id, { issuer: other.issuer })), 'client_secret')
    assert.equal((await change(id, { issuer: other.issuer, client_secret: 'for the second' })).status, 200)
    assert.equal((await change(id, { client_secret: null })).body.has_client_secret, false)
    await other.close()
  })

  test('null for a list or map is as if it were left out', async () => {
    const nothing = { scopes: null, role_map: null, team_map: null, email_domains: null }
    const { scopes, role_map, team_map, email_domains } = await created(nothing)
    assert.deepEqual(
      { scopes, role_map, team_map, email_domains },
      { scopes: ['email', 'profile'], role_map: {}, team_map: {}, email_domains: [] },
    )
    const given = { scopes: ['groups'], role_claim: 'groups', role_map: { x: 'admin' }, email_domains: ['example.com'] }
    const { id } = await created(given)
    const { body } = await change(id, { name: 'Renamed', ...nothing })
    assert.equal(body.name, 'Renamed')
    for (const [name, value] of Object.entries(given)) assert.deepEqual(body[name], value)
  })

  test('a changed provider has to be proven again', async () => {
    const { id } = await created()
    await t.sql('update identity_providers set proven_at = now() where id = $1', [id])
    assert.notEqual((await change(id, { name: 'Same party' })).body.proven_at, null)
    assert.equal((await change(id, { client_id: 'another-party' })).body.proven_at, null)
  })

  test('of 5 changes at once, those that would undo one another get 409', async () => {
    const { id } = await created()
    const replies = await Promise.all([1, 2, 3, 4, 5].map((at) => change(id, { name: `Number ${at}` })))
    assert.ok(replies.every(({ status }) => [200, 409].includes(status)))
    const last = (await t.call('GET', `${path}/${id}`, { as: t.admin.token })).body.name
    assert.ok(replies.some(({ status, body }) => status === 200 && body.name === last))
    const changes = (await eventsOf(id)).filter(({ kind }) => kind === 'identity_provider.changed')
    assert.equal(changes.length, replies.filter(({ status }) => status === 200).length)
  })

  test('404, with the same bytes, for a provider of another organization and for a missing one', async () => {
    const { id } = await created()
    const member = await newPerson(t, 'elsewhere@example.com')
    const { token } = await addOrganization(t, member.userId, 'admin')
    for (const [method, body] of [
      ['GET', undefined],
      ['PATCH', { name: 'Mine' }],
      ['DELETE', undefined],
    ] as const) {
      const call = async (which: string) => {
        const reply = await t.call(method, `${path}/${which}`, body === undefined ? { as: token } : { as: token, body })
        const { request_id: _, ...rest } = reply.body
        return [reply.status, rest]
      }
      const [theirs, missing] = [await call(id), await call(randomUUID())]
      assert.equal(theirs[0], 404)
      assert.deepEqual(theirs, missing)
    }
    assert.deepEqual((await t.call('GET', path, { as: token })).body.items, [])
  })

  test('after deletion it does not work, and linked identities go with the last provider of their issuer', async () => {
    const own = await startOpenIdProvider()
    const add = () =>
      addProvider(t, { creates_members: true, default_role: 'reviewer', client_id: clientId }, { op: own })
    const provider = await add()
    const person = { sub: 'leaving', email: 'leaving@example.com' }
    assert.equal((await signInBy(t, provider, person)).reply.status, 303)
    assert.equal((await t.call('DELETE', `${path}/${provider.id}`, { as: t.admin.token })).status, 204)
    assert.equal((await t.call('GET', `/api/v1/auth/sso/${provider.id}/start`)).status, 404)
    assert.equal((await t.sql('select from sso_identities where issuer = $1', [own.issuer])).length, 0)
    assert.equal((await t.call('DELETE', `${path}/${provider.id}`, { as: t.admin.token })).status, 404)
    await own.close()
  })
})

test('a browser that is signed in keeps its session while it signs in again', async () => {
  const own = await startOpenIdProvider()
  const provider = await addProvider(t, { creates_members: true, default_role: 'reviewer' }, { op: own })
  const browser = createBrowser(t)
  const person = { sub: 'twice', email: 'twice@example.com' }
  await signInBy(t, provider, person, browser)
  const first = await tokenOf(browser)
  await signInBy(t, provider, person, browser)
  const second = await tokenOf(browser)
  for (const as of [first, second]) assert.equal((await t.call('GET', '/api/v1/auth/me', { as })).status, 200)
  await own.close()
})

// Last, because it ends the sessions of all other tests.
describe('when single sign-on is enforced', () => {
  let provider: TestProvider
  let own: OpenIdProvider
  let admin: TestPerson
  let owner: TestPerson
  let reviewer: TestPerson
  before(async () => {
    own = await startOpenIdProvider()
    provider = await addProvider(
      t,
      { client_secret: clientSecret, creates_members: true, default_role: 'reviewer' },
      { op: own },
    )
    admin = await newPerson(t, 'enforcing-admin@example.com', 'admin')
    owner = await newPerson(t, 'enforcing-owner@example.com', 'owner')
    reviewer = await newPerson(t, 'enforced-reviewer@example.com')
  })
  after(() => own.close())
  const login = (person: TestPerson, headers = {}): Promise<Reply> =>
    t.call('POST', '/api/v1/auth/login', { body: { username: person.email, password: person.password }, headers })
  const me = (as: string): Promise<Reply> => t.call('GET', '/api/v1/auth/me', { as })

  test('409 before anyone has signed in through it, so that a mistake locks nobody out', async () => {
    const reply = await provider.change({ is_enforced: true })
    assert.equal(reply.status, 409)
    assert.equal(reply.body.code, 'identity_provider.not_proven')
    assert.equal((await create({ is_enforced: true })).body.code, 'identity_provider.not_proven')
    assert.equal((await signInBy(t, provider, { sub: 'first', email: 'first@example.com' })).reply.status, 303)
  })

  test('passwords no longer work, their sessions end, and the provider still works', async () => {
    const { browser } = await signInBy(t, provider, { sub: 'first', email: 'first@example.com' })
    const enforced = await provider.change({ is_enforced: true }, admin.token)
    assert.equal(enforced.status, 200, enforced.text)
    for (const person of [reviewer, admin]) {
      assert.equal((await me(person.token)).status, 401)
      const reply = await login(person)
      assert.equal(reply.status, 403)
      assert.equal(reply.body.code, 'sso.required')
      assert.equal(reply.body.sso_start, `/api/v1/auth/sso/${provider.id}/start`)
    }
    assert.equal((await me(await tokenOf(browser))).status, 200)
    assert.equal((await signInBy(t, provider, { sub: 'second', email: 'second@example.com' })).reply.status, 303)
  })

  test('a wrong password gets the usual reply, which reveals nothing about the organization', async () => {
    const body = { username: reviewer.email, password: 'not mine at all' }
    const reply = await t.call('POST', '/api/v1/auth/login', { body })
    assert.equal(reply.status, 401)
    assert.equal(reply.body.code, 'auth.wrong_credentials')
  })

  test('the owner’s password and session still work, as the way in when the provider fails', async () => {
    assert.equal((await me(owner.token)).status, 200)
    assert.equal((await login(owner)).status, 200)
  })

  test('nobody can switch to it after signing in with a password', async () => {
    const other = await addOrganization(t, reviewer.userId)
    const body = { organization_id: t.organizationId }
    const reply = await t.call('POST', '/api/v1/auth/switch', { as: other.token, body })
    assert.equal(reply.status, 403)
    assert.equal(reply.body.code, 'sso.required')
  })

  /** A browser session that the person opened with the password. */
  const browserOf = async (person: TestPerson) => {
    const browser = createBrowser(t)
    const body = { username: person.email, password: person.password, session_cookie: true }
    assert.equal(
      (await browser.call('POST', '/api/v1/auth/login', { body, headers: { origin: publicUrl } })).status,
      200,
    )
    return browser
  }
  const renew = (browser: Browser): Promise<Reply> =>
    browser.call('POST', '/api/v1/auth/refresh', { headers: { origin: publicUrl } })

  test('a session that a password opened is not renewed, and ends', async () => {
    await t.sql('update identity_providers set is_enforced = false where id = $1', [provider.id])
    const browser = await browserOf(reviewer)
    await t.sql('update identity_providers set is_enforced = true where id = $1', [provider.id])
    const reply = await renew(browser)
    assert.deepEqual([reply.status, reply.body.code], [403, 'sso.required'])
    assert.equal(reply.body.sso_start, `/api/v1/auth/sso/${provider.id}/start`)
    const over = await renew(browser)
    assert.deepEqual([over.status, over.body.code], [401, 'session.over'])
  })

  test('the owner’s password sessions end when they transfer ownership', async () => {
    const former = await newPerson(t, 'former-owner@example.com')
    await t.sql(`update users set role = 'admin' where id = $1`, [owner.userId])
    await t.sql(`update users set role = 'owner' where id = $1`, [former.userId])
    const browser = await browserOf(former)
    assert.equal((await renew(browser)).status, 200)
    const body = { user_id: owner.userId }
    const handed = await t.call('POST', '/api/v1/organization/transfer', { as: former.token, body })
    assert.equal(handed.status, 204, handed.text)
    const [open] = await t.sql('select count(*)::int as n from sessions where user_id = $1 and revoked_at is null', [
      former.userId,
    ])
    assert.equal(open?.n, 0)
    assert.equal((await me(former.token)).status, 401)
    assert.equal((await renew(browser)).status, 401)
    assert.equal((await me(owner.token)).status, 200)
  })

  test('the settings that identify an enforced provider cannot be changed', async () => {
    assert.equal(
      (await provider.change({ client_id: 'another' }, owner.token)).body.code,
      'identity_provider.not_proven',
    )
    assert.equal(fieldOf(await provider.change({ is_active: false }, owner.token)), 'is_enforced')
  })

  test('passwords work again when it is no longer enforced', async () => {
    assert.equal((await provider.change({ is_enforced: false }, owner.token)).status, 200)
    assert.equal((await login(reviewer)).status, 200)
  })
})
