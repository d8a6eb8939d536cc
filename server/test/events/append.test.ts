import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { cloneDatabase, secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { recordedEvents } from '../recorded-events.ts'
import { eventsQuery } from './read-events.ts'

let t: TestApp
let asAdmin: { readonly as: string }
before(async () => {
  t = await startTestApp({ environment: { REGISTRATION: 'open' } })
  asAdmin = { as: t.admin.token }
})
after(() => t.stop())

type Row = Readonly<Record<string, unknown>>
const events = (): Promise<readonly Row[]> => t.sql(eventsQuery)
const count = async (): Promise<number> => Number((await t.sql('select count(*) from events'))[0]?.count)

async function eventsOf(act: () => Promise<unknown>): Promise<readonly Row[]> {
  const before = new Set((await events()).map((event) => event.id))
  await act()
  return (await events()).filter((event) => !before.has(event.id))
}

/** The one event (of this kind) that `act` appended. Fails if there were none or several. */
async function theEventOf(act: () => Promise<unknown>, kind?: string): Promise<Row> {
  const added = (await eventsOf(act)).filter((event) => kind === undefined || event.kind === kind)
  assert.equal(added.length, 1, JSON.stringify(added))
  return added[0] as Row
}

async function noEventOf(act: () => Promise<unknown>): Promise<void> {
  const before = await count()
  await act()
  assert.equal(await count(), before)
}

const traced = { headers: { 'x-request-id': 'the-call' } }

describe('every change of rights is one event, with who, what, before and after', () => {
  const common = () => ({ organization_id: t.organizationId, http_request_id: 'the-call', occurred_at: t.clock.now() })
  const byAdmin = () => ({ actor_kind: 'person', actor_id: t.admin.id })
  const assertEvent = (event: Row, expected: Row): void => {
    const { id, ...rest } = event
    assert.match(String(id), /^[0-9a-f]{8}-[0-9a-f]{4}-7/, 'UUIDv7')
    assert.deepEqual(rest, { ...common(), erasable: { network: '127.0.0.1' }, ...expected })
  }

  test('user.registered: the person is the actor', async () => {
    let id = ''
    const event = await theEventOf(async () => {
      const body = { email: 'new@example.com', password: 'a secret of mine', name: 'New' }
      id = (await t.call('POST', '/api/v1/auth/register', { body, ...traced })).body.id
    })
    assertEvent(event, {
      kind: 'user.registered',
      subject_kind: 'user',
      subject_id: id,
      actor_kind: 'person',
      actor_id: id,
      before: null,
      erasable: { network: '127.0.0.1/32' },
      after: { role: 'reviewer', is_active: true, invitation_id: null },
    })
  })

  test('invitation.created, which the registration through it names', async () => {
    let invitation = { id: '', token: '' }
    const created = await theEventOf(async () => {
      invitation = (await t.call('POST', '/api/v1/invitations', { ...asAdmin, body: { role: 'admin' }, ...traced }))
        .body
    })
    const { assurance, ...after } = created.after as Row
    assert.equal((assurance as Row).method, 'sign_in', 'the step-up that it was made with is in the event')
    const expected = { role: 'admin', expires_at: new Date(t.clock.now().getTime() + 7 * 86_400_000).toISOString() }
    const about = { subject_kind: 'invitation', subject_id: invitation.id, before: null }
    assertEvent({ ...created, after }, { ...byAdmin(), kind: 'invitation.created', ...about, after: expected })
    const registered = await theEventOf(() =>
      t.call('POST', '/api/v1/auth/register', {
        body: { email: 'invited@example.com', password: 'a secret of mine', invitation: invitation.token },
      }),
    )
    assert.deepEqual(registered.after, { role: 'admin', is_active: true, invitation_id: invitation.id })
    assert.ok(!JSON.stringify([created, registered]).includes(invitation.token))
  })

  test('api_key.created and api_key.changed', async () => {
    const keys = '/api/v1/api-keys'
    let made = { id: '', key: '' }
    const created = await theEventOf(async () => {
      made = (await t.call('POST', keys, { ...asAdmin, body: { name: 'bot', description: 'd' }, ...traced })).body
    }, 'api_key.created')
    const about = (event: Row) => [event.kind, event.subject_kind, event.subject_id, event.actor_id]
    assert.deepEqual(about(created), ['api_key.created', 'api_key', made.id, t.admin.id])
    assert.equal((created.after as Row).is_active, true)
    assert.deepEqual(created.erasable, { name: 'bot', description: 'd', network: '127.0.0.1' })
    assert.ok(!JSON.stringify(created).includes(made.key))
    t.clock.advance(1_000)
    const revoked = await theEventOf(() =>
      t.call('PATCH', `${keys}/${made.id}`, { ...asAdmin, body: { is_active: false }, ...traced }),
    )
    assert.deepEqual(about(revoked), ['api_key.changed', 'api_key', made.id, t.admin.id])
    assert.deepEqual([(revoked.before as Row).is_active, (revoked.after as Row).is_active], [true, false])
    await noEventOf(() => t.call('PATCH', `${keys}/${made.id}`, { ...asAdmin, body: { is_active: false } }))
  })

  test('an idempotent repetition changes nothing and has no event', async () => {
    const again = () =>
      t.call('POST', '/api/v1/api-keys', { ...asAdmin, body: { name: 'once' }, headers: { 'idempotency-key': 'one' } })
    await theEventOf(again, 'api_key.created')
    await noEventOf(again)
  })

  test('the service is the actor of what it does by itself at its start', async (context) => {
    const database = await cloneDatabase()
    const log = createLog('silent', false)
    const app = await createApp({ config: testConfig(), secretKey, connection: database.connection, log })
    context.after(async () => {
      await app.stop()
      await database.drop()
    })
    await app.identity.people.setupToken()
    await app.identity.people.ensureUser({ email: 'boss@example.com', password: 'correct horse' }, 'admin')
    await app.identity.people.ensureUser({ email: 'boss@example.com', password: 'correct horse' }, 'admin')
    const client = new pg.Client({ ...database.connection, user: 'postgres' })
    await client.connect()
    const recorded = await recordedEvents(async (query, values = []) => (await client.query(query, [...values])).rows)
    await client.end()
    assert.deepEqual(
      recorded.map(({ kind, actor, http_request_id }) => [kind, actor.kind, actor.id, http_request_id]),
      ['organization.created', 'invitation.created', 'user.registered'].map((kind) => [kind, 'system', null, null]),
    )
  })
})

describe('signing in', () => {
  const login = (password: string) =>
    t.call('POST', '/api/v1/auth/login', { body: { username: 'reviewer@example.com', password }, ...traced })

  for (const [password, status] of [
    ['password123', 200],
    ['wrong', 401],
  ] as const) {
    test(`is an event if the reply is ${status}, with the network and without the password`, async () => {
      const added = await eventsOf(async () => assert.equal((await login(password)).status, status))
      assert.ok(added.length >= 1)
      assert.ok(added.every((event) => event.http_request_id === 'the-call'))
      assert.ok(added.some((event) => (event.erasable as { network?: string })?.network?.startsWith('127.0.0.1')))
      assert.ok(!JSON.stringify(added).includes(password))
    })
  }
})

describe('refused calls and reads write no event in their transaction', () => {
  const refusals: readonly (readonly [number, string, string, object])[] = [
    [409, 'POST', '/api/v1/auth/register', { email: 'admin@example.com', password: 'correct horse' }],
    [422, 'POST', '/api/v1/auth/register', { email: 'x@example.com', password: 'short' }],
    [403, 'POST', '/api/v1/auth/register', { email: 'x@example.com', password: 'correct horse', invitation: 'guess' }],
    [422, 'POST', '/api/v1/api-keys', { name: '' }],
    [422, 'POST', '/api/v1/invitations', { role: 'owner' }],
    [404, 'PATCH', `/api/v1/api-keys/${randomUUID()}`, { name: 'x' }],
  ]
  for (const [status, method, path, body] of refusals) {
    test(`${status} ${method} ${path.replace(/[0-9a-f-]{36}/, '{id}')}`, () =>
      noEventOf(async () => assert.equal((await t.call(method, path, { ...asAdmin, body })).status, status)))
  }

  test('reading', () =>
    noEventOf(async () => {
      for (const path of ['/api/v1/auth/me', '/api/v1/api-keys', '/api/v1/requests', '/api/v1/health']) {
        await t.call('GET', path, asAdmin)
      }
    }))
})

describe('the change and its event share one commit', () => {
  const forbidEvents = (kind: string) =>
    t.sql(`create function no_${kind}() returns trigger language plpgsql as $$ begin
      if new.kind like '${kind}%' then raise exception 'no events today' using errcode = 'XX000'; end if; return new; end $$;
      create trigger no_${kind} before insert on events for each row execute function no_${kind}()`)
  const allowEvents = (kind: string) => t.sql(`drop function no_${kind} cascade`)

  test('if the event cannot be written, the account, key or invitation is not created either', async (context) => {
    const kinds = ['user', 'api_key', 'invitation']
    for (const kind of kinds) await forbidEvents(kind)
    context.after(async () => {
      for (const kind of kinds) await allowEvents(kind)
    })
    const [key] = await t.sql('select id, name from api_keys limit 1')
    const counts = () =>
      t.sql(
        'select (select count(*) from users) u, (select count(*) from api_keys) k, (select count(*) from invitations) i',
      )
    const before = await counts()
    for (const [method, path, body] of [
      ['POST', '/api/v1/auth/register', { email: 'lost@example.com', password: 'correct horse' }],
      ['POST', '/api/v1/api-keys', { name: 'lost' }],
      ['POST', '/api/v1/invitations', {}],
      ['PATCH', `/api/v1/api-keys/${key?.id}`, { name: 'lost' }],
    ] as const) {
      const reply = await t.call(method, path, { ...asAdmin, body })
      assert.equal(reply.status, 500, reply.text)
      assert.doesNotMatch(reply.text, /no events today/, 'the cause stays in the log')
    }
    assert.deepEqual(await counts(), before)
    assert.deepEqual((await t.sql('select id, name from api_keys where id = $1', [key?.id]))[0], key)
  })

  test('an act whose commit fails has no event', async (context) => {
    await t.sql(`create function too_late() returns trigger language plpgsql as $$ begin
      raise exception 'not this one' using errcode = 'XX000'; end $$;
      create constraint trigger too_late after insert on api_keys deferrable initially deferred
      for each row execute function too_late()`)
    context.after(() => t.sql('drop function too_late cascade'))
    await noEventOf(async () => {
      assert.equal((await t.call('POST', '/api/v1/api-keys', { ...asAdmin, body: { name: 'late' } })).status, 500)
    })
    assert.equal((await t.sql(`select from api_keys where name = 'late'`)).length, 0)
  })
})

describe('events are append-only, even for the owner of the database', () => {
  for (const statement of [
    `update events set kind = 'x'`,
    'update events set id = id where false',
    'delete from events',
    `delete from events where kind = 'none'`,
    'truncate events',
  ]) {
    test(statement, async () => {
      const before = await events()
      await assert.rejects(t.sql(statement), /events are append-only/)
      assert.deepEqual(await events(), before)
    })
  }
})

test('no secret is in any event: passwords, their hashes, keys, tokens', async () => {
  const text = JSON.stringify(await events())
  const hashes = await t.sql(`select password_hash as secret from accounts union all
    select encode(key_hash, 'hex') from api_keys union all select encode(token_hash, 'hex') from invitations`)
  assert.ok(hashes.length > 6)
  const secrets = [
    ...hashes.map((row) => String(row.secret)),
    t.apiKey,
    t.admin.token,
    secretKey,
    'password123',
    'a secret of mine',
  ]
  for (const secret of secrets) assert.ok(!text.includes(secret))
})
