import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createPasswords } from '../../src/identity/accounts/passwords.ts'
import { hashSecretToken, newSecretToken } from '../../src/identity/secret-token.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import type { TestPerson } from '../people-and-keys.ts'
import { addCompany, alsoIn, type Company, signedIn, told } from './organizations/tenancy.ts'

const auth = '/api/v1/auth'
const passwords = createPasswords({ cost: 4 })

let t: TestApp
before(async () => {
  t = await startTestApp({ passwords })
})
after(() => t.stop())

interface InTwo {
  readonly home: Company
  readonly other: Company
  readonly here: TestPerson
  readonly there: TestPerson
}

/** A person who belongs to two organizations. */
async function inTwo(): Promise<InTwo> {
  const [home, other] = [await addCompany(t), await addCompany(t)]
  return { home, other, here: home.reviewer, there: await alsoIn(t, home.reviewer, other.organizationId) }
}

describe('another organization of the same person', () => {
  test('is told of a new password and of ended sessions, and not where the person works', async () => {
    const { home, other, here } = await inTwo()
    await t.sql('update accounts set password_hash = $2 where id = $1', [
      here.id,
      await passwords.hash('correct horse'),
    ])
    const as = await signedIn(t, here)
    const body = { current_password: 'correct horse', new_password: 'a whole new one' }
    assert.equal((await t.call('POST', `${auth}/password/change`, { as, body })).status, 204)
    const there = await alsoIn(t, here, (await addCompany(t)).organizationId)
    assert.equal((await t.call('POST', `${auth}/sessions/revoke-others`, { as })).status, 200)
    const networkOf = async (organizationId: string, kind: string) => {
      const [event] = await told(t, organizationId, kind)
      assert.ok(event, kind)
      return event.erasable?.network ?? null
    }
    assert.equal(await networkOf(home.organizationId, 'password.changed'), '127.0.0.1')
    assert.equal(await networkOf(other.organizationId, 'password.changed'), null)
    assert.equal(await networkOf(there.organizationId, 'session.ended'), null)
  })

  test('ends a single session of theirs without learning it either', async () => {
    const { other, here, there } = await inTwo()
    const sessions = await t.sql('select id from sessions where user_id = $1', [there.id])
    const as = await signedIn(t, here)
    assert.equal((await t.call('POST', `${auth}/sessions/${sessions[0]?.id}/revoke`, { as })).status, 204)
    const [ended] = await told(t, other.organizationId, 'session.ended')
    assert.equal(ended?.subject.id, sessions[0]?.id)
    assert.equal(ended?.erasable?.network ?? null, null)
  })

  test('cannot keep them from an address by having a provider claim it for somebody', async () => {
    const { home, other, here, there } = await inTwo()
    const email = `${randomUUID()}@example.com`
    const claimed = randomUUID()
    await t.sql(
      `with account as (
         insert into accounts (id, email, email_key, created_at, updated_at)
         values ($2::uuid, $4, $4, now(), now()))
       insert into users (organization_id, id, account_id, email, email_key, role, created_at, updated_at)
       values ($1, $2, $2, $3, $3, 'reviewer', now(), now())`,
      [other.organizationId, claimed, email, `${claimed}@sso.invalid`],
    )
    const token = newSecretToken()
    await t.sql(
      `insert into account_links (id, account_id, purpose, token_hash, email, expires_at, created_at, session_id, from_known_network)
       select $1, account_id, 'email_change', $2, $3, $4::timestamptz + interval '1 hour', $4, id, false
       from sessions where user_id = $5 limit 1`,
      [randomUUID(), hashSecretToken(token), email, t.clock.now(), here.id],
    )
    const reply = await t.call('POST', `${auth}/email/confirm`, { body: { token } })
    assert.equal(reply.status, 204, reply.text)
    const shown = async ({ organizationId, id }: TestPerson) =>
      (await t.sql('select email from users where organization_id = $1 and id = $2', [organizationId, id]))[0]?.email
    assert.equal((await t.sql('select email from accounts where id = $1', [here.id]))[0]?.email, email)
    assert.equal(await shown(here), email)
    // There somebody is shown with it already; no list has an address twice.
    assert.equal(await shown(there), `${home.reviewer.id}@example.com`)
  })
})
