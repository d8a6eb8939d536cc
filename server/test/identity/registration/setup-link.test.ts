import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type App, createApp } from '../../../src/app.ts'
import { createLog } from '../../../src/platform/log.ts'
import { sampleAdmin, samplePassword, seed } from '../../../src/seed.ts'
import { cloneDatabase, createFakeClock, secretKey, testConfig } from '../../harness.ts'

/** An installation at its very first start: no organization, no people. */
async function firstStart() {
  const database = await cloneDatabase()
  const clock = createFakeClock()
  const config = testConfig({ REGISTRATION: 'closed' })
  const log = createLog('silent', false)
  const app = await createApp({ config, secretKey, connection: database.connection, log, clock })
  return {
    app,
    clock,
    stop: async () => {
      await app.stop()
      await database.drop()
    },
  }
}

const accept = (app: App, invitation: string, email: string) =>
  app.http.inject({
    method: 'POST',
    url: '/api/v1/auth/register',
    payload: { email, password: 'correct horse', invitation },
  })

describe('the set-up link of an installation without an admin', () => {
  let start: Awaited<ReturnType<typeof firstStart>>
  before(async () => {
    start = await firstStart()
  })
  after(() => start.stop())

  test('the next start prints another link, and the earlier one is void', async () => {
    const { app } = start
    const first = await app.identity.people.setupToken()
    const second = await app.identity.people.setupToken()
    assert.ok(first !== null && second !== null && first !== second)
    const stale = await accept(app, first, 'stale@example.com')
    assert.equal(stale.statusCode, 403, stale.body)
    const made = await accept(app, second, 'First@example.com')
    assert.equal(made.statusCode, 201, made.body)
    assert.equal(made.json().role, 'admin')
    assert.equal((await accept(app, second, 'again@example.com')).statusCode, 403, 'a link works once')
  })

  test('there is no link once there is an admin', async () => {
    assert.equal(await start.app.identity.people.setupToken(), null)
  })
})

test('a printed link is void once an admin was created another way (ADMIN_EMAIL)', async (context) => {
  const start = await firstStart()
  context.after(() => start.stop())
  const { app } = start
  const printed = await app.identity.people.setupToken()
  assert.ok(printed !== null)
  await app.identity.people.ensureUser({ email: 'boss@example.com', password: 'correct horse' }, 'admin')
  assert.equal(await app.identity.people.setupToken(), null, 'the next start')
  assert.equal((await accept(app, printed, 'intruder@example.com')).statusCode, 403)
})

test('a set-up link lasts 7 days', async (context) => {
  const start = await firstStart()
  context.after(() => start.stop())
  const printed = await start.app.identity.people.setupToken()
  assert.ok(printed !== null)
  start.clock.advance(7 * 86_400_000)
  assert.equal((await accept(start.app, printed, 'late@example.com')).statusCode, 403)
})

test('4 processes that start at once create one organization and one valid link', async (context) => {
  const start = await firstStart()
  context.after(() => start.stop())
  const tokens = await Promise.all(Array.from({ length: 4 }, () => start.app.identity.people.setupToken()))
  const statuses: number[] = []
  for (const [place, token] of tokens.entries()) {
    assert.ok(token !== null)
    statuses.push((await accept(start.app, token, `admin-${place}@example.com`)).statusCode)
  }
  assert.deepEqual(statuses.sort(), [201, 403, 403, 403])
})

test('ADMIN_EMAIL creates the account once and leaves an existing one unchanged', async (context) => {
  const start = await firstStart()
  context.after(() => start.stop())
  const { identity, http } = start.app
  const first = await identity.people.ensureUser({ email: 'Boss@example.com', password: 'first password' }, 'admin')
  const again = await identity.people.ensureUser({ email: 'boss@EXAMPLE.com', password: 'other password' }, 'admin')
  assert.equal(again.id, first.id)
  const signIn = (password: string) =>
    http.inject({ method: 'POST', url: '/api/v1/auth/login', payload: { username: 'boss@example.com', password } })
  assert.equal((await signIn('other password')).statusCode, 401)
  assert.equal((await signIn('first password')).statusCode, 200)
})

test('sample data, with its public password, is refused if there are other accounts', async () => {
  const start = await firstStart()
  try {
    await start.app.identity.people.ensureUser({ email: 'owner@example.org', password: 'correct horse' }, 'admin')
    await assert.rejects(seed(start.app), /has other accounts/)
    const login = await start.app.http.inject({
      method: 'POST',
      url: '/api/v1/auth/login',
      payload: { username: sampleAdmin, password: samplePassword },
    })
    assert.equal(login.statusCode, 401)
  } finally {
    await start.stop()
  }
})
