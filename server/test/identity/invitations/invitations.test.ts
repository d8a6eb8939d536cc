import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createAccessTokens } from '../../../src/identity/access-token.ts'
import { secretKey, startTestApp, type TestApp } from '../../harness.ts'

const register = '/api/v1/auth/register'
const invitations = '/api/v1/invitations'
const day = 86_400_000

let t: TestApp
before(async () => {
  t = await startTestApp({ environment: { PUBLIC_URL: 'https://hitl.example.com/' } })
})
after(() => t.stop())

const invite = async (body: Readonly<Record<string, unknown>> = {}): Promise<string> => {
  const reply = await t.call('POST', invitations, { as: await admin(), body })
  assert.equal(reply.status, 201, reply.text)
  return reply.body.token
}
/** A current token, because tests here move the clock by days. */
const tokens = createAccessTokens(secretKey, 30)
const signed = async ({ id: userId, sessionId }: { readonly id: string; readonly sessionId: string }) => {
  // A fresh sign-in, which inviting administrators needs.
  await t.sql('update sessions set signed_in_at = $2 where id = $1', [sessionId, t.clock.now()])
  t.app.identity.authenticator.forget(sessionId)
  return (await tokens.sign({ organizationId: t.organizationId, userId, sessionId }, t.clock.now())).token
}
const admin = () => signed(t.admin)
const accept = (invitation: string, email: string, more: Readonly<Record<string, unknown>> = {}) =>
  t.call('POST', register, { body: { email, password: 'correct horse', invitation, ...more } })
const people = async (): Promise<number> => (await t.sql('select from users')).length

test('201 with a link that lasts 7 days; only the hash of its token is kept', async () => {
  const reply = await t.call('POST', invitations, { as: await admin(), body: {} })
  assert.equal(reply.status, 201, reply.text)
  const { id, token, ...rest } = reply.body
  assert.match(token, /^[A-Za-z0-9_-]{43}$/)
  assert.deepEqual(rest, {
    role: 'reviewer',
    email: null,
    expires_at: new Date(t.clock.now().getTime() + 7 * day).toISOString(),
    url: `https://hitl.example.com/setup#${token}`,
  })
  const [row] = await t.sql('select row_to_json(i)::text as row from invitations i where id = $1', [id])
  assert.ok(row !== undefined && !String(row.row).includes(token))
})

test('the invited person gets the role of the invitation, not the one in the body', async () => {
  const reviewer = await accept(await invite(), 'first@example.com', { role: 'admin' })
  assert.equal(reviewer.status, 201, reviewer.text)
  assert.equal(reviewer.body.role, 'reviewer')
  const second = await accept(await invite({ role: 'admin' }), 'second@example.com', { role: 'reviewer' })
  assert.equal(second.body.role, 'admin')
})

test('an invitation is for one person: of 8 people who race, one gets 201 and seven get 403', async () => {
  const invitation = await invite()
  const before = await people()
  const replies = await Promise.all(
    Array.from({ length: 8 }, (_, place) => accept(invitation, `racer-${place}@example.com`)),
  )
  assert.deepEqual(replies.map((reply) => reply.status).sort(), [201, ...Array(7).fill(403)])
  assert.equal(await people(), before + 1)
  const late = await accept(invitation, 'late@example.com')
  assert.equal(late.status, 403)
  assert.equal(late.body.code, 'invitation.not_valid')
})

describe('an invitation for one address', () => {
  test('403 for another address, and it stays usable; 201 for its own in upper or lower case', async () => {
    const invitation = await invite({ email: 'Grace@Example.com' })
    const wrong = await accept(invitation, 'other@example.com')
    assert.equal(wrong.status, 403)
    assert.equal(wrong.body.code, 'invitation.not_valid')
    const right = await accept(invitation, 'gRACE@example.COM')
    assert.equal(right.status, 201, right.text)
    assert.equal(right.body.email, 'gRACE@example.COM')
  })
})

test('an address that has an account gets no second one, and nobody else gets the invitation', async () => {
  const invitation = await invite()
  const accounts = await t.sql('select id, email, password_hash from accounts order by id')
  assert.equal(
    (await accept(invitation, 'Reviewer@example.com')).status,
    201,
    'as for any other: see one-reply.test.ts',
  )
  assert.deepEqual(await t.sql('select id, email, password_hash from accounts order by id'), accounts)
  assert.equal((await accept(invitation, 'newcomer@example.com')).body.code, 'invitation.not_valid')
})

test('422 for a password that is too short, and the invitation stays usable', async () => {
  const invitation = await invite()
  assert.equal((await accept(invitation, 'short@example.com', { password: 'short' })).status, 422)
  assert.equal((await accept(invitation, 'short@example.com')).status, 201)
})

test('valid until the last millisecond of 7 days, 403 from then on', async () => {
  const [inTime, tooLate] = [await invite(), await invite()]
  t.clock.advance(7 * day - 1)
  assert.equal((await accept(inTime, 'in-time@example.com')).status, 201)
  t.clock.advance(1)
  const reply = await accept(tooLate, 'too-late@example.com')
  assert.equal(reply.status, 403)
  assert.equal(reply.body.code, 'invitation.not_valid')
})

test('403 in the same words for guessed, used, expired and misaddressed invitations', async () => {
  const used = await invite()
  await accept(used, 'used@example.com')
  const expired = await invite()
  t.clock.advance(7 * day)
  const misaddressed = await invite({ email: 'someone@example.com' })
  const before = await people()
  const bodies = []
  for (const token of ['guess', used, expired, misaddressed, `${misaddressed}x`]) {
    const reply = await accept(token, 'probe@example.com')
    const { request_id, ...rest } = reply.body
    assert.equal(reply.status, 403)
    bodies.push(JSON.stringify(rest))
  }
  assert.equal(new Set(bodies).size, 1)
  assert.equal(await people(), before)
})

test('guessed invitations cost no hashing: a hundred at once are refused without queueing', async () => {
  // More than the 65 that the password queue holds: the rest would get 503.
  const replies = await Promise.all(
    Array.from({ length: 100 }, (_, place) => accept(`guess-${place}`, 'guesser@example.com')),
  )
  assert.deepEqual(
    replies.map((reply) => reply.status),
    Array(100).fill(403),
  )
})

describe('Idempotency-Key', () => {
  const post = async (key: string, body: unknown) =>
    t.call('POST', invitations, { as: await admin(), body, headers: { 'idempotency-key': key } })
  const links = async (): Promise<number> => (await t.sql('select from invitations')).length

  test('the same key and body give the same reply, token included, even after the link was used', async () => {
    const before = await links()
    const first = await post('order-1', { email: 'once@example.com' })
    assert.equal(first.status, 201, first.text)
    assert.equal(first.headers['idempotency-replayed'], undefined)
    assert.match(first.body.token, /^[A-Za-z0-9_-]{43}$/)
    const again = await post('order-1', { email: 'once@example.com' })
    assert.equal(again.text, first.text)
    assert.equal((await accept(again.body.token, 'once@example.com')).status, 201)
    t.clock.advance(60_000)
    const late = await post('order-1', { email: 'once@example.com' })
    assert.equal(late.status, 201)
    assert.equal(late.headers['idempotency-replayed'], 'true')
    assert.equal(late.text, first.text)
    assert.equal(await links(), before + 1)
  })

  test('422 for the same key with another body, and no link is created', async () => {
    await post('order-2', {})
    const before = await links()
    const reply = await post('order-2', { role: 'admin' })
    assert.equal(reply.status, 422)
    assert.equal(reply.body.code, 'idempotency.body_differs')
    assert.equal(await links(), before)
  })

  test('6 at once create one link and get equal replies', async () => {
    const before = await links()
    const replies = await Promise.all(Array.from({ length: 6 }, () => post('order-3', {})))
    assert.deepEqual(
      replies.map((reply) => reply.status),
      Array(6).fill(201),
    )
    assert.equal(new Set(replies.map((reply) => reply.text)).size, 1)
    assert.equal(replies.filter((reply) => reply.headers['idempotency-replayed'] === undefined).length, 1)
    assert.equal(await links(), before + 1)
  })

  test('another key creates another link; the same key can still be used to create an API key', async () => {
    const [one, two] = [await post('order-4', {}), await post('order-5', {})]
    assert.notEqual(one.body.token, two.body.token)
    const options = { as: await admin(), body: {}, headers: { 'idempotency-key': 'order-4' } }
    const apiKey = await t.call('POST', '/api/v1/api-keys', { ...options, body: { name: 'order-4' } })
    assert.equal(apiKey.status, 201, apiKey.text)
    assert.equal(apiKey.headers['idempotency-replayed'], undefined)
  })

  test('422 for an invalid Idempotency-Key', async () => {
    assert.equal((await post('two words', {})).status, 422)
  })
})

describe('who may invite', () => {
  for (const [status, what, as] of [
    [401, 'nobody', () => undefined],
    [401, 'an unknown token', () => 'x.y.z'],
    [403, 'a reviewer', () => t.reviewer.token],
    [403, 'an agent', () => t.apiKey],
  ] as const) {
    test(`${status} for ${what}`, async () => {
      // Earlier tokens have expired by the clock of this file.
      const fresh = as() === t.reviewer.token ? await signed(t.reviewer) : as()
      const before = await t.sql('select count(*)::int from invitations')
      const reply = await t.call('POST', invitations, { body: {}, ...(fresh === undefined ? {} : { as: fresh }) })
      assert.equal(reply.status, status, reply.text)
      assert.deepEqual(await t.sql('select count(*)::int from invitations'), before)
    })
  }
})

describe('422 for a wrong field', () => {
  for (const [path, body] of [
    ['role', { role: 'owner' }],
    ['role', { role: null }],
    ['email', { email: 'no-address' }],
    ['email', { email: 1 }],
  ] as const) {
    test(JSON.stringify(body), async () => {
      const reply = await t.call('POST', invitations, { as: await admin(), body })
      assert.equal(reply.status, 422, reply.text)
      assert.ok(reply.body.errors.some((error: { path: string }) => error.path === path))
    })
  }
})
