import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { startTestApp, type TestApp } from '../../harness.ts'
import { addCompany, alsoIn, type Company, told } from '../organizations/tenancy.ts'

const path = '/api/v1/invitations'
let t: TestApp
before(async () => {
  t = await startTestApp({ environment: { RATE_LIMIT_PERSON: 'off', RATE_LIMIT_ADDRESS: 'off' } })
})
after(() => t.stop())

const invite = async ({ admin }: Company, body: Readonly<Record<string, unknown>> = {}) => {
  const reply = await t.call('POST', path, { as: admin.token, body })
  assert.equal(reply.status, 201, reply.text)
  return reply.body
}
const accept = (as: string, token: string) => t.call('POST', `${path}/accept`, { as, body: { token } })
const list = async ({ admin }: Company) => (await t.call('GET', path, { as: admin.token })).body.items
const change = ({ owner }: Company, id: string, body: unknown) =>
  t.call('PATCH', `/api/v1/users/${id}`, { as: owner.token, body })

describe('a person who has an account', () => {
  test('joins through the link with its role, which is an event there, and can switch to the organization', async () => {
    const [home, host] = [await addCompany(t), await addCompany(t)]
    const { id, token } = await invite(host, { role: 'auditor', email: `${home.reviewer.id}@example.com` })
    const reply = await accept(home.reviewer.token, token)
    assert.equal(reply.status, 201, reply.text)
    assert.equal(reply.body.role, 'auditor')
    const [joined] = await told(t, host.organizationId, 'user.joined')
    assert.deepEqual(joined?.after, { role: 'auditor', is_active: true, invitation_id: id })
    assert.deepEqual([joined?.actor.id, joined?.subject.id], [reply.body.id, reply.body.id])
    const body = { organization_id: host.organizationId }
    const switched = await t.call('POST', '/api/v1/auth/switch', { as: home.reviewer.token, body })
    assert.equal(switched.body.user.id, reply.body.id)
  })

  test('403 in the same words for a guessed, used, revoked or misaddressed link, or one of a closing organization', async () => {
    const [home, host, closing] = [await addCompany(t), await addCompany(t), await addCompany(t)]
    const used = (await invite(host)).token
    assert.equal((await accept(home.reviewer.token, used)).status, 201)
    const revoked = await invite(host)
    await t.call('POST', `${path}/${revoked.id}/revoke`, { as: host.admin.token })
    const misaddressed = (await invite(host, { email: 'other@example.com' })).token
    const late = (await invite(closing)).token
    await t.sql(`update organizations set delete_after = '2900-01-01' where organization_id = $1`, [
      closing.organizationId,
    ])
    const words = new Set<string>()
    for (const token of ['guess', used, revoked.token, misaddressed, late]) {
      const reply = await accept(home.auditor.token, token)
      const { request_id, ...rest } = reply.body
      assert.equal(reply.status, 403)
      words.add(JSON.stringify(rest))
    }
    assert.equal(words.size, 1)
  })

  test('409 for a person who is already a member, and the link stays usable', async () => {
    const [home, host] = [await addCompany(t), await addCompany(t)]
    await alsoIn(t, home.reviewer, host.organizationId)
    const { token } = await invite(host)
    const reply = await accept(home.reviewer.token, token)
    assert.deepEqual([reply.status, reply.body.code], [409, 'user.already_member'])
    assert.equal((await accept(home.auditor.token, token)).status, 201)
  })

  test('a link for an address is for the address of the account, not of a membership', async () => {
    const [home, host] = [await addCompany(t), await addCompany(t)]
    await t.sql(`update users set email = $2, email_key = $2 where id = $1`, [home.reviewer.id, 'ceo@example.com'])
    const { token } = await invite(host, { email: 'ceo@example.com' })
    assert.equal((await accept(home.reviewer.token, token)).body.code, 'invitation.not_valid')
  })

  test('of six people who race for one link, one joins', async () => {
    const host = await addCompany(t)
    const homes: Company[] = []
    while (homes.length < 6) homes.push(await addCompany(t))
    const { token } = await invite(host)
    const replies = await Promise.all(homes.map(({ reviewer }) => accept(reviewer.token, token)))
    assert.deepEqual(replies.map((reply) => reply.status).sort(), [201, 403, 403, 403, 403, 403])
  })
})

describe('the links of an administrator', () => {
  for (const [what, changed] of [
    ['deactivated', { is_active: false }],
    ['no administrator any more', { role: 'reviewer' }],
  ] as const) {
    test(`who is ${what} do not work and are not listed`, async () => {
      const company = await addCompany(t)
      const home = await addCompany(t)
      const { token } = await invite(company)
      assert.equal((await list(company)).length, 1)
      assert.equal((await change(company, company.admin.id, changed)).status, 200)
      const listed = await t.call('GET', path, { as: company.owner.token })
      assert.deepEqual(listed.body.items, [])
      assert.equal((await accept(home.reviewer.token, token)).body.code, 'invitation.not_valid')
    })
  }

  test('inviting needs a step-up, whatever the role', async () => {
    const { admin } = await addCompany(t)
    await t.sql(`update sessions set signed_in_at = now() - interval '1 day' where user_id = $1`, [admin.id])
    const ask = (role: string) => t.call('POST', path, { as: admin.token, body: { role } })
    for (const role of ['admin', 'reviewer', 'auditor']) {
      assert.equal((await ask(role)).body.code, 'auth.step_up_required')
    }
  })

  test('the event of inviting an administrator has the step-up', async () => {
    const company = await addCompany(t)
    await invite(company, { role: 'admin' })
    const [event] = await told(t, company.organizationId, 'invitation.created')
    assert.equal(event?.after.assurance.method, 'sign_in')
    assert.match(event?.digest ?? '', /^[0-9a-f]{64}$/)
  })

  test('429 for the 201st address within an hour, and no link is created; links without an address still work', async () => {
    const company = await addCompany(t)
    await t.sql(
      `insert into invitations (organization_id, id, token_hash, email, role, created_by, expires_at, created_at, updated_at)
       select $1, gen_random_uuid(), sha256(n::text::bytea), n || '@example.com', 'reviewer', $2, $3::timestamptz + interval '1 day', $3, $3
       from generate_series(1, 200) n`,
      [company.organizationId, company.admin.id, t.clock.now()],
    )
    const ask = (body: unknown) => t.call('POST', path, { as: company.admin.token, body })
    const reply = await ask({ email: 'too.many@example.com' })
    assert.deepEqual([reply.status, reply.body.code], [429, 'invitation.too_many'])
    assert.equal(reply.headers['retry-after'], '3600')
    assert.equal((await t.sql(`select from invitations where email = 'too.many@example.com'`)).length, 0)
    assert.equal((await ask({})).status, 201)
  })
})

describe('GET /invitations', () => {
  test('newest first, by cursor, without those used, revoked or expired, or of another organization', async () => {
    const [company, home] = [await addCompany(t), await addCompany(t)]
    await invite(home)
    const made: string[] = []
    for (let n = 0; n < 5; n += 1) made.unshift((await invite(company)).id)
    const used = await invite(company)
    await accept(home.reviewer.token, used.token)
    const revoked = await invite(company)
    await t.call('POST', `${path}/${revoked.id}/revoke`, { as: company.admin.token })
    const over = await invite(company)
    await t.sql('update invitations set expires_at = $2 where id = $1', [over.id, t.clock.now()])
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query = cursor === '' ? '' : `&cursor=${cursor}`
      const reply = await t.call('GET', `${path}?limit=2${query}`, { as: company.admin.token })
      seen.push(...reply.body.items.map((item: { id: string }) => item.id))
      cursor = reply.body.next_cursor
    }
    assert.deepEqual(seen, made)
  })
})

describe('POST /invitations/{id}/revoke', () => {
  test('204 once, then 404; its event has what was revoked; a repeated Idempotency-Key gets the same reply', async () => {
    const company = await addCompany(t)
    const headers = { 'idempotency-key': randomUUID() }
    const create = () => t.call('POST', path, { as: company.admin.token, body: { email: 'gone@example.com' }, headers })
    const first = await create()
    const revoke = () => t.call('POST', `${path}/${first.body.id}/revoke`, { as: company.admin.token })
    assert.equal((await revoke()).status, 204)
    assert.equal((await revoke()).status, 404)
    assert.equal((await create()).text, first.text)
    const [event] = await told(t, company.organizationId, 'invitation.revoked')
    assert.deepEqual([event?.before, event?.after], [{ role: 'reviewer', expires_at: first.body.expires_at }, null])
  })

  test('404 for one of another organization, which stays valid', async () => {
    const [company, other] = [await addCompany(t), await addCompany(t)]
    const { id } = await invite(other)
    assert.equal((await t.call('POST', `${path}/${id}/revoke`, { as: company.admin.token })).status, 404)
    assert.equal((await list(other)).length, 1)
  })
})

test('the address of an invitation is only where the audit can erase it', async () => {
  const company = await addCompany(t)
  const { id } = await invite(company, { email: 'private.person@example.com' })
  await t.call('POST', `${path}/${id}/revoke`, { as: company.admin.token })
  const events = await told(t, company.organizationId, 'invitation.created', 'invitation.revoked')
  assert.equal(events.length, 2)
  for (const { erasable, ...record } of events) {
    assert.equal(erasable?.email, 'private.person@example.com')
    assert.ok(!JSON.stringify(record).includes('private.person'))
  }
})
