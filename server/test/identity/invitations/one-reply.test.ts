import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Reply, startTestApp, type TestApp } from '../../harness.ts'
import { type MailRelay, startMailRelay } from '../../platform/mail-relay.ts'
import { addCompany, type Company, told } from '../organizations/tenancy.ts'

const invitations = '/api/v1/invitations'
const subject = 'You have an account already'

let relay: MailRelay
let t: TestApp
let home: Company
let host: Company
before(async () => {
  relay = await startMailRelay()
  const environment = {
    SMTP_URL: `smtp://127.0.0.1:${relay.port}`,
    MAIL_FROM: 'hitl@example.com',
    RATE_LIMIT_PERSON: 'off',
    RATE_LIMIT_ADDRESS: 'off',
  }
  t = await startTestApp({ environment })
  home = await addCompany(t)
  host = await addCompany(t)
})
after(async () => {
  await t.stop()
  await relay.close()
})

const addressOf = ({ id }: { readonly id: string }) => `${id}@example.com`
const invite = async (body: Readonly<Record<string, unknown>> = {}) => {
  const reply = await t.call('POST', invitations, { as: host.admin.token, body })
  assert.equal(reply.status, 201, reply.text)
  return reply.body as { readonly id: string; readonly token: string }
}
const register = (invitation: string, email: string) =>
  t.call('POST', '/api/v1/auth/register', { body: { email, password: 'correct horse', name: 'A name', invitation } })
/** A reply without what is new in each: ids, times, the address itself. */
const shapeOf = ({ status, headers, body }: Reply, email: string) => {
  const { id, request_id, ...rest } = body
  const { 'x-request-id': _, date: __, 'content-length': length, ...others } = headers
  return JSON.stringify([status, rest, others, Number(length) - email.length]).replaceAll(email, '')
}

test('registering by invitation says the same for an address that has an account and for one that has none', async () => {
  const known = addressOf(home.reviewer)
  const unknown = `${'n'.repeat(known.length - 12)}@example.com`
  const capitals = `${home.auditor.id.toUpperCase()}@example.com`
  const passwords = await t.sql('select id, password_hash from accounts order by id')
  for (const [open, email] of [
    [{}, known],
    [{}, capitals],
    [{ email: addressOf(home.owner) }, addressOf(home.owner)],
  ] as const) {
    const [one, other] = [await invite(open), await invite('email' in open ? { email: unknown } : {})]
    const fresh = 'email' in open ? unknown : `${email.slice(1)}x`
    for (const again of [false, true]) {
      const [taken, free] = [await register(one.token, email), await register(other.token, fresh)]
      assert.equal(taken.status, again ? 403 : 201, taken.text)
      assert.equal(shapeOf(taken, email), shapeOf(free, fresh))
    }
    const another = [await register(one.token, 'third@example.com'), await register(other.token, 'third@example.com')]
    assert.deepEqual(
      another.map(({ status, body }) => [status, body.code]),
      [403, 403].map((status) => [status, 'invitation.not_valid']),
      'one invitation tries one address',
    )
  }
  const after = await t.sql('select id, password_hash from accounts order by id')
  assert.deepEqual(
    after.filter(({ id }) => passwords.some((before) => before.id === id)),
    passwords,
    'no account was changed',
  )
})

test('the owner of the address is notified by mail and joins through the invitation; nobody else does', async () => {
  const { id, token } = await invite({ role: 'auditor' })
  const owner = home.admin
  assert.equal((await register(token, addressOf(owner).toUpperCase())).status, 201)
  const [letter] = await relay.lettersTo(addressOf(owner), subject, 1)
  assert.ok(letter?.text.includes(token), letter?.text)
  const reserved = await told(t, host.organizationId, 'invitation.reserved')
  assert.equal(reserved.at(-1)?.subject.id, id)
  assert.deepEqual(Object.keys(reserved.at(-1)?.erasable), ['network'], 'the address is not in it')
  const accept = (as: string) => t.call('POST', `${invitations}/accept`, { as, body: { token } })
  assert.equal((await accept(home.auditor.token)).body.code, 'invitation.not_valid')
  const joined = await accept(owner.token)
  assert.deepEqual([joined.status, joined.body.role], [201, 'auditor'])
  assert.equal((await accept(owner.token)).body.code, 'invitation.not_valid')
})

test('many invitations do not fill a mailbox: three such mails a day', async () => {
  const { owner, auditor } = await addCompany(t)
  const count = () => relay.letters.filter((letter) => letter.text.includes('It has one already')).length
  const before = count()
  for (const tries of [1, 2, 3, 4, 5]) {
    assert.equal((await register((await invite()).token, addressOf(owner))).status, 201, String(tries))
  }
  assert.equal((await register((await invite()).token, addressOf(auditor))).status, 201)
  await t.app.drain()
  assert.equal(count(), before + 4)
})
