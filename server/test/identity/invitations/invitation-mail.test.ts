import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { hasAccountEmail, invitationEmail } from '../../../src/identity/accounts/account-emails.ts'
import { startTestApp, type TestApp } from '../../harness.ts'
import { type MailRelay, startMailRelay } from '../../platform/mail-relay.ts'
import { linkIn } from '../recovery/accounts.ts'

const path = '/api/v1/invitations'
const subject = 'You are invited'

let relay: MailRelay
let t: TestApp
before(async () => {
  relay = await startMailRelay()
  const environment = { SMTP_URL: `smtp://127.0.0.1:${relay.port}`, MAIL_FROM: 'hitl@example.com' }
  t = await startTestApp({ environment })
})
after(async () => {
  await t.stop()
  await relay.close()
})

test('an invitation for an address is mailed to it, once, and its link works', async () => {
  const [email, headers] = ['invited@example.com', { 'idempotency-key': randomUUID() }]
  const invite = () => t.call('POST', path, { as: t.admin.token, body: { email, role: 'auditor' }, headers })
  const first = await invite()
  assert.equal((await invite()).body.id, first.body.id)
  const [letter] = await relay.lettersTo(email, subject, 1)
  const token = linkIn(letter)
  assert.equal(token, first.body.token)
  assert.match(letter?.text ?? '', /as auditor/)
  const body = { email, password: 'correct horse', invitation: token }
  assert.equal((await t.call('POST', '/api/v1/auth/register', { body })).status, 201)
  assert.equal((await relay.lettersTo(email, subject, 1)).length, 1)
})

test('an invitation without an address is not mailed', async () => {
  const count = relay.letters.length
  assert.equal((await t.call('POST', path, { as: t.admin.token, body: {} })).status, 201)
  await t.call('POST', path, { as: t.admin.token, body: { email: 'after@example.com' } })
  await relay.lettersTo('after@example.com', subject, 1)
  assert.equal(relay.letters.length, count + 1)
})

test('201 even for an address that mail cannot be sent to, because the link is in the reply', async () => {
  const reply = await t.call('POST', path, { as: t.admin.token, body: { email: '"a,b"@example.com' } })
  assert.equal(reply.status, 201)
  assert.ok(reply.body.url)
})

test('422 for registering with a common password', async () => {
  const invitation = await t.call('POST', path, { as: t.admin.token, body: {} })
  for (const password of ['iloveyou', 'Qwerty123', 'new.person@example.com']) {
    const body = { email: 'new.person@example.com', password, invitation: invitation.body.token }
    const reply = await t.call('POST', '/api/v1/auth/register', { body })
    assert.equal(reply.status, 422)
    assert.equal(reply.body.errors[0].path, 'password')
  }
})

test('the name of the organization is data: quoted, on a line of its own, visible, and nothing in it is a link', () => {
  const link = 'https://hitl.example.com/setup#x'
  const sly = 'Example\r\n\u202e\u200b\u3164 "Pay" at https://evil.example'
  const about = { organization: sly, role: 'reviewer', until: new Date(0) }
  for (const { text } of [
    invitationEmail('a@example.com', { ...about, link }),
    hasAccountEmail('a@example.com', { ...about, publicUrl: 'https://hitl.example.com', token: 'x' }),
  ]) {
    const lines = text.split('\n')
    const named = lines.filter((line) => line.includes('Example'))
    assert.equal(named.length, 1, text)
    assert.match(
      named[0] ?? '',
      /^ {4}"Example\[U\+000D\]\[U\+000A\]\[U\+202E\]\[U\+200B\]\[U\+3164\] 'Pay' at https\[:\]\/\/evil.*"$/,
    )
    assert.deepEqual([lines[lines.indexOf(named[0] ?? '') - 1], lines[lines.indexOf(named[0] ?? '') + 1]], ['', ''])
    assert.doesNotMatch(named[0] ?? '', /[^\s[][.@:][^\s\]]|[^\x20-\x7e]/u)
    assert.ok((named[0] ?? '').length < 120)
  }
  const known = hasAccountEmail('a@example.com', { ...about, publicUrl: 'https://hitl.example.com', token: 'x' })
  assert.match(known.text, /^https:\/\/hitl\.example\.com\/setup#x$/m, 'where somebody with an account joins')
  const short = invitationEmail('a@example.com', { ...about, organization: 'evil.example/a@b.example', link })
  assert.match(short.text, /^ {4}"evil\[\.\]example\/a\[@\]b\[\.\]example"$/m)
})
