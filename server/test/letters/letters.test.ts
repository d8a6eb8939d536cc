import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { installationId, newId } from '../../src/platform/ids.ts'
import { createLog } from '../../src/platform/log.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { linkIn, newPerson } from '../identity/recovery/accounts.ts'
import { addOrganization, type TestPerson } from '../people-and-keys.ts'
import { type MailRelay, startMailRelay, type TakenLetter } from '../platform/mail-relay.ts'
import { recordedEvents } from '../recorded-events.ts'

const day = 86_400_000
const hour = 3_600_000
const home = '203.0.113.7'

let relay: MailRelay
let t: TestApp
const lines: string[] = []
before(async () => {
  relay = await startMailRelay()
  // Only `drain` sends, so that a test decides when.
  t = await startTestApp({
    workers: false,
    log: createLog('info', false, { write: (line: string) => void lines.push(line) }),
    environment: {
      SMTP_URL: `smtp://127.0.0.1:${relay.port}`,
      MAIL_FROM: 'hitl@example.com',
      RATE_LIMIT_ADDRESS: 'off',
      RATE_LIMIT_PERSON: 'off',
      TRUSTED_PROXIES: '127.0.0.1',
    },
  })
})
after(async () => {
  await t.stop()
  await relay.close()
})

const invite = async (as: string, email: string, u = t) => {
  // Inviting needs a fresh sign-in, and the clock moves by days.
  await u.sql('update sessions set signed_in_at = $1', [u.clock.now()])
  return u.call('POST', '/api/v1/invitations', { as, body: { email } })
}
const invitePast = async ({ organizationId, id }: TestPerson, count: number, to: (n: number) => string) => {
  const { letters } = t.app.letters
  for (let n = 0; n < count; n += 1) {
    const invitation = newId()
    const letter = await letters.seal({
      kind: 'invitation',
      organizationId,
      about: ['invitation', invitation],
      accountId: id,
      usefulUntil: new Date(t.clock.now().getTime() + 7 * day),
      to: to(n),
      subject: 'You are invited',
      text: 'x',
    })
    await t.app.db.transaction({ organizationId }, (tx) => letters.post(tx, letter))
  }
}
const forgot = async (email: string, from: string) => {
  const headers = { 'x-forwarded-for': from }
  const reply = await t.call('POST', '/api/v1/auth/password/forgot', { body: { email }, headers })
  return reply.status
}
const resetsTo = (email: string): readonly TakenLetter[] =>
  relay.letters.filter(({ to, headers }) => to.includes(email) && headers.get('subject') === 'Choose a new password')
const waiting = async () => Number((await t.sql('select count(*) as n from letters where due_at is not null'))[0]?.n)

test('a letter is in the database, sealed, before anybody sends it, and its text is dropped once it is sent', async () => {
  const person = await newPerson(t, 'sealed@example.com')
  assert.equal(await forgot(person.email, '198.51.100.1'), 202)
  const rows = () => t.sql(`select * from letters where subject_id = $1`, [person.accountId])
  const [before] = await rows()
  assert.deepEqual(
    [before?.organization_id, before?.kind, before?.status],
    [installationId, 'password_reset', 'pending'],
  )
  const body = before?.body as Buffer
  assert.ok(body.length > 100)
  assert.ok(!JSON.stringify(before).includes(person.email))
  assert.ok(!body.includes('reset#'))
  assert.deepEqual(resetsTo(person.email), [])
  await t.app.drain()
  assert.ok(linkIn(resetsTo(person.email)[0]))
  const [after] = await rows()
  assert.deepEqual([after?.status, after?.body, after?.due_at, after?.lease_token], ['sent', null, null, null])
  t.clock.advance(day + 1)
  await t.app.drain()
  assert.deepEqual(await rows(), [])
})

test('a letter of a call that fails is not sent', async () => {
  const { organizationId } = t
  const { letters } = t.app.letters
  const [about, usefulUntil] = [['account', newId()] as const, new Date(t.clock.now().getTime() + day)]
  const email = { to: 'undone@example.com', subject: 'x', text: 'x' }
  const letter = await letters.seal({ ...email, kind: 'notice', organizationId, about, accountId: null, usefulUntil })
  const failing = t.app.db.transaction({ organizationId }, async (tx) => {
    await letters.post(tx, letter)
    throw new Error('undone')
  })
  await assert.rejects(failing)
  assert.equal(await waiting(), 0)
})

test('800 invitations of 4 organizations to one stranger hold up no reset, and the stranger gets five', async () => {
  const crowd = await Promise.all([1, 2, 3, 4].map(() => addOrganization(t)))
  await Promise.all(crowd.map(({ admin }) => invitePast(admin, 200, () => 'stranger@example.com')))
  const people = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => newPerson(t, `locked-out-${n}@example.com`)))
  for (const { email } of people) assert.equal(await forgot(email, '198.51.100.2'), 202)
  const other = await addOrganization(t)
  assert.equal((await invite(other.admin.token, 'colleague@example.com')).status, 201)
  const count = relay.letters.length
  await t.app.drain()
  const sent = relay.letters.slice(count)
  const firstTen = sent.slice(0, 12).map(({ to }) => String(to[0]))
  for (const { email } of people) assert.ok(firstTen.includes(email), `${email} in ${firstTen}`)
  assert.equal(sent.filter(({ to }) => to.includes('colleague@example.com')).length, 1)
  assert.equal(sent.filter(({ to }) => to.includes('stranger@example.com')).length, 5)
  const kinds = ['letter.not_sent']
  const events = await Promise.all(
    crowd.map(({ organizationId: organization }) => recordedEvents(t.sql, { organization, kinds })),
  )
  assert.equal(events.flat().length, 795)
  assert.deepEqual(events.flat()[0]?.after, { attempts: 1, letter: 'invitation', reason: 'too_many' })
  assert.equal(lines.filter((line) => line.includes('a letter was not sent')).length, 795)
  assert.ok(!lines.join().includes('stranger@example.com'))
})

test('an organization with many letters waits its turn behind the others', async () => {
  const [many, few] = [await addOrganization(t), await addOrganization(t)]
  await invitePast(many.admin, 30, (n) => `many-${n}@example.com`)
  await invitePast(few.admin, 2, (n) => `few-${n}@example.com`)
  const count = relay.letters.length
  await t.app.drain()
  const order = relay.letters.slice(count).map(({ to }) => String(to[0]))
  assert.equal(order.length, 32)
  for (const n of [0, 1]) assert.ok(order.indexOf(`few-${n}@example.com`) < 10, order.join())
})

test('429 for the 201st invitation of one person within an hour, over all their organizations', async () => {
  const [one, other] = [await addOrganization(t), await addOrganization(t)]
  await invitePast({ ...other.admin, id: one.admin.id }, 200, (n) => `over-${n}@example.com`)
  const reply = await invite(one.admin.token, 'one-more@example.com')
  assert.deepEqual([reply.status, reply.body.code], [429, 'invitation.too_many'])
  assert.equal((await invite(other.admin.token, 'one-more@example.com')).status, 201, 'another person')
  await t.app.drain()
})

describe('a new password', () => {
  test('five requests by strangers leave the owner at home their own five', async () => {
    const { email, userId: subject } = await newPerson(t, 'owner@example.com')
    const login = { username: email, password: 'correct horse' }
    const headers = { 'x-forwarded-for': home }
    assert.equal((await t.call('POST', '/api/v1/auth/login', { body: login, headers })).status, 200)
    for (let n = 0; n < 30; n += 1) await forgot(email, `198.51.100.${10 + n}`)
    await t.app.drain()
    assert.equal(resetsTo(email).length, 5)
    const refused = await recordedEvents(t.sql, { subject, kinds: ['letter.not_sent'] })
    assert.ok(refused.length >= 10, `${refused.length} events`)
    assert.deepEqual(refused[0]?.after, { letter: 'password_reset', reason: 'too_many', attempts: 0 })
    assert.equal(await forgot(email, home), 202)
    await t.app.drain()
    assert.equal(resetsTo(email).length, 6)
    assert.ok(linkIn(resetsTo(email)[5]))
  })

  test('an address gets at most ten letters of strangers a day, however many hours they keep asking', async () => {
    const { email } = await newPerson(t, 'all-day@example.com')
    for (let n = 0; n < 20; n += 1) {
      t.clock.advance(hour + 60_000)
      for (const host of [1, 2]) await forgot(email, `203.0.113.${20 + 2 * n + host}`)
      await t.app.drain()
    }
    assert.equal(resetsTo(email).length, 10)
    t.clock.advance(day)
    await forgot(email, '203.0.113.200')
    await t.app.drain()
    assert.equal(resetsTo(email).length, 11)
  })
})

test('429 for the eleventh new address that a person names within a day', async () => {
  const person = await newPerson(t, 'changes@example.com')
  const change = (n: number) =>
    t.call('POST', '/api/v1/auth/email/change', {
      as: person.token,
      body: { email: `stranger-${n}@example.com`, current_password: person.password },
    })
  for (let n = 0; n < 10; n += 1) {
    if (n === 5) await t.sql(`update account_links set created_at = created_at - interval '2 hours'`)
    assert.equal((await change(n)).status, 202, String(n))
  }
  await t.sql(`update account_links set created_at = created_at - interval '2 hours'`)
  const refused = await change(10)
  assert.deepEqual([refused.status, refused.body.code, refused.headers['retry-after']], [429, 'mail.too_many', '86400'])
  assert.match(refused.body.detail, /tomorrow/)
  await t.app.drain()
})

describe('a relay', () => {
  const lettersOf = (to: string) => relay.letters.filter((letter) => letter.to.includes(to)).length

  test('that says "not now" is asked again after growing waits; 5yz is final', async () => {
    const { admin, organizationId } = await addOrganization(t)
    relay.refuseNext(451, 421)
    await invite(admin.token, 'patient@example.com')
    for (const [seconds, count] of [
      [0, 0],
      [1, 0],
      [1, 0],
      [14, 0],
      [1, 1],
    ] as const) {
      t.clock.advance(seconds * 1_000)
      await t.app.drain()
      assert.equal(lettersOf('patient@example.com'), count)
    }
    relay.refuseNext(550)
    await invite(admin.token, 'gone@example.com')
    await t.app.drain()
    const [event] = await recordedEvents(t.sql, { organization: organizationId, kinds: ['letter.not_sent'] })
    assert.equal(event?.subject.kind, 'invitation')
    assert.deepEqual(event?.after, { attempts: 1, letter: 'invitation', reason: 'refused' })
    assert.equal(await waiting(), 0)
  })

  test('that is away loses no letter: the next one sends it', async () => {
    const { admin } = await addOrganization(t)
    relay.refuseNext(421)
    await invite(admin.token, 'later@example.com')
    await t.app.drain()
    assert.equal(await waiting(), 1)
    t.clock.advance(2_000)
    await t.app.drain()
    assert.equal(lettersOf('later@example.com'), 1)
  })

  test('that is away for longer than the link works: the letter is not sent', async () => {
    const { email, accountId } = await newPerson(t, 'too-late@example.com')
    await forgot(email, '198.51.100.77')
    t.clock.advance(31 * 60_000)
    await t.app.drain()
    assert.equal(resetsTo(email).length, 0)
    const [event] = await recordedEvents(t.sql, { subject: accountId, kinds: ['letter.not_sent'] })
    assert.deepEqual([event?.organization_id, event?.after.reason], [installationId, 'too_late'])
  })

  test('that hangs does not hold up the stop, and another process sends the letter at once', async () => {
    const sockets = new Set<{ destroy(): void }>()
    const silent = createServer((socket) => void sockets.add(socket.on('error', () => {})))
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const u = await startTestApp({ environment: { SMTP_URL: `smtp://127.0.0.1:${port}`, MAIL_FROM: 'a@example.com' } })
    assert.equal((await invite(u.admin.token, 'held@example.com', u)).status, 201)
    await once(silent, 'connection')
    const startedAt = performance.now()
    await Promise.all(u.app.letters.loops.map((loop) => loop.stop(100)))
    assert.ok(performance.now() - startedAt < 3_000)
    const [row] = await u.sql('select status, lease_token, due_at, body from letters')
    assert.deepEqual([row?.status, row?.lease_token, row?.due_at], ['pending', null, u.clock.now()])
    await u.stop()
    for (const socket of sockets) socket.destroy()
    await new Promise((closed) => silent.close(closed))
  })

  test('a letter whose process died is sent when its lease ends', async () => {
    const { admin } = await addOrganization(t)
    await invite(admin.token, 'orphan@example.com')
    const until = new Date(t.clock.now().getTime() + 40_000)
    await t.sql(`update letters set due_at = $1, lease_token = gen_random_uuid() where due_at is not null`, [until])
    await t.app.drain()
    assert.equal(lettersOf('orphan@example.com'), 0)
    t.clock.advance(40_000)
    await t.app.drain()
    assert.equal(lettersOf('orphan@example.com'), 1)
  })
})
