import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createAccessTokens } from '../../../src/identity/access-token.ts'
import { type Reply, secretKey, startTestApp, type TestApp } from '../../harness.ts'
import { type OpenIdProvider, startOpenIdProvider } from '../sso/openid-provider.ts'
import { addTotp, auth, eventsOf, newPerson, newSession, nextCode, password, type TestPerson } from './people.ts'

let t: TestApp
let op: OpenIdProvider
before(async () => {
  t = await startTestApp({ environment: { SSO_ALLOW: '127.0.0.0/8' } })
  op = await startOpenIdProvider()
})
after(async () => {
  await t.stop()
  await op.close()
})

const path = '/api/v1/api-keys'
const minutes = (count: number) => t.clock.advance(count * 60_000)

interface Call {
  readonly path: string
  readonly body: unknown
  readonly idempotencyKey: string
  readonly stepUp?: string
}

const send = (as: string, { path, body, idempotencyKey, stepUp }: Call): Promise<Reply> => {
  const proof = stepUp === undefined ? {} : { 'x-step-up': stepUp }
  return t.call('POST', path, { as, body, headers: { 'idempotency-key': idempotencyKey, ...proof } })
}
const newCall = (to = path, body: unknown = { name: 'bot' }): Call => ({
  path: to,
  body,
  idempotencyKey: randomUUID(),
})

/** The call with the step-up that it needs. */
const proven = async (as: string, call: Call, proof: Readonly<Record<string, unknown>>): Promise<Required<Call>> => {
  const { digest, code } = (await send(as, call)).body
  assert.equal(code, 'auth.step_up_required')
  const granted = await t.call('POST', `${auth}/step-up`, { as, body: { digest, ...proof } })
  assert.equal(granted.status, 200, granted.text)
  return { ...call, stepUp: granted.body.step_up }
}

/** An administrator with an authenticator app. */
const careful = async (): Promise<TestPerson & { readonly proof: () => { method: string; code: string } }> => {
  const person = await newPerson(t, 'admin')
  const { seed } = await addTotp(t, person.token)
  return { ...person, proof: () => ({ method: 'totp', code: nextCode(t, seed) }) }
}

/** A new access token of the person's only session. */
const renewed = async ({ organizationId, id: userId }: TestPerson): Promise<string> => {
  const [session] = await t.sql('select id from sessions where user_id = $1', [userId])
  const tokens = createAccessTokens(secretKey, 30)
  return (await tokens.sign({ organizationId, userId, sessionId: String(session?.id) }, t.clock.now())).token
}

const done = (reply: Reply): Reply => {
  assert.equal(reply.status, 201, reply.text)
  return reply
}
const isReplayOf = (first: Reply, again: Reply): void => {
  assert.equal(again.status, 201, again.text)
  assert.equal(again.headers['idempotency-replayed'], 'true')
  assert.deepEqual(again.body, first.body)
}
const refused = (reply: Reply, why?: string): void => {
  assert.equal(reply.status, 403, why)
  assert.equal(reply.body.code, 'auth.step_up_required', why)
}

describe('a sensitive call whose reply was lost', () => {
  test('repeated exactly, gets the first reply again, and no refusal is recorded', async () => {
    const { key } = done(await t.call('POST', path, { as: t.admin.token, body: { name: 'old' } })).body
    assert.ok(key)
    const [old] = (await t.call('GET', path, { as: t.admin.token })).body
    const calls = [
      newCall(),
      newCall(`${path}/${old.id}/rotate`, {}),
      newCall('/api/v1/invitations', { role: 'admin' }),
      newCall('/api/v1/identity-providers', { name: 'Accounts', issuer: op.issuer, client_id: randomUUID() }),
    ]
    const admin = await careful()
    for (const call of calls) {
      const complete = await proven(admin.token, call, admin.proof())
      const first = done(await send(admin.token, complete))
      isReplayOf(first, await send(admin.token, complete))
      minutes(5)
      isReplayOf(first, await send(admin.token, complete))
    }
    const kinds = (await eventsOf(t, admin)).map((event) => event.kind)
    assert.ok(kinds.includes('step_up.granted'))
    assert.ok(!kinds.includes('step_up.refused'), kinds.join())
  })

  test('gets its reply even if the sign-in is no longer fresh, without a second factor', async () => {
    const admin = await newPerson(t, 'admin')
    const call = newCall()
    const first = done(await send(admin.token, call))
    minutes(11)
    refused(await send(admin.token, newCall()), 'a new act')
    isReplayOf(first, await send(admin.token, call))
  })

  test('needs a new step-up after an hour, and gets its reply with one', async () => {
    const admin = await newPerson(t, 'admin')
    const call = newCall()
    const first = done(await send(admin.token, call))
    minutes(29)
    const half = await renewed(admin)
    minutes(29)
    isReplayOf(first, await send(half, call))
    const token = await renewed(admin)
    minutes(2)
    isReplayOf(first, await send(token, await proven(token, call, { method: 'password', password })))
  })

  test('needs a new step-up from every other caller, and for every other call', async () => {
    const admin = await careful()
    const complete = await proven(admin.token, newCall(), admin.proof())
    done(await send(admin.token, complete))
    const { stepUp, ...bare } = complete
    refused(await send(admin.token, bare), 'without the token')
    refused(await send(admin.token, { ...complete, body: { name: 'other' } }), 'another body')
    refused(await send(admin.token, { ...complete, idempotencyKey: randomUUID() }), 'another Idempotency-Key')
    refused(await send(admin.token, { ...complete, path: `${path}/` }), 'another address')
    refused(await send(await newSession(t, admin), complete), 'another session')
    refused(await send((await careful()).token, complete), 'another person')
    const other = await proven(admin.token, newCall(), admin.proof())
    done(await send(admin.token, other))
    refused(await send(admin.token, { ...complete, stepUp: other.stepUp }), 'the token of another act')
    assert.equal((await t.sql('select from api_keys where created_by = $1', [admin.id])).length, 2)
  })

  test('gets 422 with the same values in another spelling, as without a step-up', async () => {
    const admin = await newPerson(t, 'admin')
    const call = newCall(path, { name: 'bot', description: 'd' })
    done(await send(admin.token, call))
    minutes(11)
    const reply = await send(admin.token, { ...call, body: { description: 'd', name: 'bot' } })
    assert.equal(reply.status, 422)
    assert.equal(reply.body.code, 'idempotency.body_differs')
  })

  test('does nothing again if what it created is gone', async () => {
    const admin = await careful()
    const providers = '/api/v1/identity-providers'
    const body = { name: 'Accounts', issuer: op.issuer, client_id: randomUUID() }
    const complete = await proven(admin.token, newCall(providers, body), admin.proof())
    const { id } = done(await send(admin.token, complete)).body
    await t.sql('delete from identity_providers where id = $1', [id])
    refused(await send(admin.token, complete))
    assert.deepEqual(await t.sql('select from identity_providers where created_by = $1', [admin.id]), [])
  })

  test('sent three times at once happens once, and each gets the reply', async () => {
    const admin = await careful()
    const body = { name: 'Accounts', issuer: op.issuer, client_id: randomUUID() }
    for (const call of [newCall(), newCall(), newCall('/api/v1/identity-providers', body)]) {
      const complete = await proven(admin.token, call, admin.proof())
      const replies = await Promise.all([1, 2, 3].map(() => send(admin.token, complete)))
      const ids = replies.map((reply) => done(reply).body.id)
      assert.equal(new Set(ids).size, 1)
      assert.equal(replies.filter((reply) => reply.headers['idempotency-replayed'] === undefined).length, 1)
    }
  })
})
