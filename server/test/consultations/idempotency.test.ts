import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createApp } from '../../src/app.ts'
import { createLog } from '../../src/platform/log.ts'
import { secretKey, startTestApp, type TestApp, testConfig } from '../harness.ts'
import { addApiKey, addOrganization } from '../people-and-keys.ts'
import { startReceiver } from '../receivers.ts'
import { recordedEvents } from '../recorded-events.ts'
import { tableContents } from './table-contents.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const path = '/api/v1/requests'
let made = 0
const freshKey = (): string => {
  made += 1
  return `key-${made}`
}
const create = (key: string, fields: Readonly<Record<string, unknown>> = {}, as = t.apiKey) =>
  t.call('POST', path, {
    as,
    body: { title: 'once', context: { n: 1 }, ...fields },
    headers: { 'idempotency-key': key },
  })

describe('the same key and body: the same reply', () => {
  test('at once, marked as a repetition', async () => {
    const key = freshKey()
    const first = await create(key)
    const contents = await tableContents(t)
    const second = await create(key)
    assert.deepEqual([first.status, second.status], [201, 201])
    assert.equal(second.text, first.text)
    assert.equal(second.headers.location, first.headers.location)
    assert.deepEqual(
      [first.headers['idempotency-replayed'], second.headers['idempotency-replayed']],
      [undefined, 'true'],
    )
    assert.deepEqual(await tableContents(t), contents)
  })

  test('after it was answered and called back: still the reply of its creation', async () => {
    const receiver = await startReceiver()
    const key = freshKey()
    const fields = { callback_webhook: receiver.url, callback_secret: 's', metadata: { run: 1 } }
    const first = await create(key, fields)
    await t.call('POST', `${path}/${first.body.id}/respond`, { as: t.reviewer.token, body: { decision: 'approve' } })
    await t.app.drain()
    assert.equal((await t.call('GET', `${path}/${first.body.id}`, { as: t.apiKey })).body.state, 'callback_sent')
    assert.equal((await create(key, fields)).text, first.text)
    assert.equal(receiver.requests.length, 1)
    await receiver.close()
  })

  test('after it was cancelled, and after it timed out', async () => {
    const [one, two] = [freshKey(), freshKey()]
    const cancelled = await create(one)
    await t.call('POST', `${path}/${cancelled.body.id}/cancel`, { as: t.apiKey })
    assert.equal((await create(one)).text, cancelled.text)
    const late = await create(two, { timeout_minutes: 1 })
    t.clock.advance(60_000)
    assert.equal((await create(two, { timeout_minutes: 1 })).text, late.text, 'before the sweep')
    await t.app.drain()
    assert.equal((await create(two, { timeout_minutes: 1 })).text, late.text, 'after it')
  })

  for (const length of [1, 255]) {
    test(`for a key of ${length} characters`, async () => {
      const key = '~'.repeat(length)
      assert.equal((await create(key)).body.id, (await create(key)).body.id)
    })
  }
})

describe('16 callers at once with one key', () => {
  test('create one request and one event; all 16 get the same reply', async () => {
    for (let round = 0; round < 10; round += 1) {
      const key = freshKey()
      const replies = await Promise.all(Array.from({ length: 16 }, () => create(key, { metadata: { round } })))
      assert.deepEqual([...new Set(replies.map(({ status, text }) => `${status} ${text}`))].length, 1)
      assert.equal(replies.filter(({ headers }) => headers['idempotency-replayed'] === undefined).length, 1)
      const rows = await t.sql('select id from consultation_requests where idempotency_key = $1', [key])
      assert.deepEqual(rows, [{ id: replies[0]?.body.id }])
      const events = await recordedEvents(t.sql, { subject: replies[0]?.body.id })
      assert.deepEqual(
        events.map(({ kind }) => kind),
        ['request.created'],
      )
    }
  })

  test('with different bodies: one is created, every other body gets 422', async () => {
    const key = freshKey()
    const replies = await Promise.all(
      Array.from({ length: 16 }, (_, index) => create(key, { title: `body ${index % 4}` })),
    )
    const winner = replies.find(
      ({ status, headers }) => status === 201 && headers['idempotency-replayed'] === undefined,
    )
    assert.ok(winner)
    for (const [index, reply] of replies.entries()) {
      assert.equal(reply.status, `body ${index % 4}` === winner.body.title ? 201 : 422)
    }
    assert.equal((await t.sql('select id from consultation_requests where idempotency_key = $1', [key])).length, 1)
  })
})

test('422 for the same key with another body, and nothing changes', async () => {
  const key = freshKey()
  const first = await create(key)
  const contents = await tableContents(t)
  for (const fields of [{ title: 'twice' }, { context: { n: 2 } }, { timeout_minutes: 1_440 }]) {
    const reply = await create(key, fields)
    assert.equal(reply.status, 422)
    assert.match(reply.body.detail, /Idempotency-Key/)
    assert.equal(reply.body.id, undefined)
  }
  assert.deepEqual(await tableContents(t), contents)
  assert.equal((await create(key)).body.id, first.body.id)
})

test('another API key, and another organization, may use the same Idempotency-Key', async () => {
  const key = freshKey()
  const other = await addOrganization(t)
  const replies = [
    await create(key),
    await create(key, {}, (await addApiKey(t)).raw),
    await create(key, {}, other.apiKey.raw),
  ]
  assert.deepEqual(
    replies.map(({ status, headers }) => [status, headers['idempotency-replayed']]),
    Array(3).fill([201, undefined]),
  )
  assert.equal(new Set(replies.map(({ body }) => body.id)).size, 3)
})

test('without the header, the same body creates a new request every time', async () => {
  const [one, two] = await Promise.all([t.createRequest(), t.createRequest()])
  assert.notEqual(one.id, two.id)
})

test('a refused creation does not use the key up', async () => {
  const key = freshKey()
  assert.equal((await create(key, { title: '' })).status, 422)
  const reply = await create(key)
  assert.deepEqual([reply.status, reply.headers['idempotency-replayed']], [201, undefined])
})

describe('422 for a malformed header', () => {
  for (const [what, key] of [
    ['empty', ''],
    ['of 256 characters', 'x'.repeat(256)],
    ['with a space', 'a b'],
    ['with an umlaut', 'schlüssel'],
    ['sent twice', 'a, b'],
    ['with a tab', 'a\tb'],
  ] as const) {
    test(what, async () => {
      const contents = await tableContents(t)
      const reply = await create(key)
      assert.deepEqual([reply.status, reply.body.errors?.[0]?.path], [422, 'idempotency-key'], reply.text)
      assert.deepEqual(await tableContents(t), contents)
    })
  }
})

describe('what is kept of a body', () => {
  const hashOf = async (id: string): Promise<Buffer> => {
    const [row] = await t.sql('select idempotency_hash from consultation_requests where id = $1', [id])
    return row?.idempotency_hash as Buffer
  }
  const secretBody = {
    title: 'once',
    context: { n: 1 },
    callback_webhook: 'http://127.0.0.1:9/',
    callback_secret: '1234',
  }
  const plain = createHash('sha256').update(JSON.stringify(secretBody)).digest()

  test('is an HMAC, so the database alone is not enough to guess the callback secret', async () => {
    const { body } = await create(freshKey(), secretBody)
    const hash = await hashOf(body.id)
    assert.equal(hash.length, 32)
    assert.notDeepEqual(hash, plain)
    const other = await create(freshKey(), { ...secretBody, callback_secret: '1235' })
    assert.notDeepEqual(await hashOf(other.body.id), hash)
  })

  for (const [what, environment, status] of [
    [
      'under the former SECRET_KEY is known while SECRET_KEY_PREVIOUS names it',
      { SECRET_KEY_PREVIOUS: secretKey },
      201,
    ],
    ['under the former SECRET_KEY is another one when that is gone', {}, 422],
  ] as const) {
    test(what, async (context) => {
      const key = freshKey()
      const first = await create(key)
      const config = testConfig(environment)
      const log = createLog('silent', false)
      const options = { config, secretKey: `another ${secretKey}`, connection: t.connection, log, clock: t.clock }
      const next = await createApp(options)
      context.after(() => next.stop())
      const headers = { authorization: `Bearer ${t.apiKey}`, 'idempotency-key': key }
      const payload = { title: 'once', context: { n: 1 } }
      const reply = await next.http.inject({ method: 'POST', url: path, headers, payload })
      assert.equal(reply.statusCode, status)
      if (status === 201) assert.equal(reply.body, first.text)
    })
  }
})

describe('acts on a request: the repetition of a call whose reply was lost gets the same reply', () => {
  const act = (id: string, name: string, key: string, body: object, as: string) =>
    t.call('POST', `${path}/${id}/${name}`, { as, body, headers: { 'idempotency-key': key } })

  test('an answer, also after its callback and after its approval was used', async () => {
    const receiver = await startReceiver()
    const { id } = await t.createRequest({ callback_webhook: receiver.url })
    const key = freshKey()
    const answer = () => act(id, 'respond', key, { decision: 'approve', comment: 'Fine' }, t.reviewer.token)
    const first = await answer()
    assert.equal(first.status, 200, first.text)
    t.clock.advance(1_000)
    await t.app.drain()
    assert.equal((await t.call('POST', `${path}/${id}/redeem`, { as: t.apiKey })).status, 200)
    const contents = await tableContents(t)
    const again = await answer()
    assert.equal(again.text, first.text)
    assert.deepEqual(
      [first.headers['idempotency-replayed'], again.headers['idempotency-replayed']],
      [undefined, 'true'],
    )
    assert.deepEqual(await tableContents(t), contents)
    assert.equal((await recordedEvents(t.sql, { subject: id, kinds: ['request.responded'] })).length, 1)
    await receiver.close()
  })

  test('of another body 422, of another key or person 409 that names the decision', async () => {
    const { id } = await t.createRequest()
    const key = freshKey()
    assert.equal((await act(id, 'respond', key, { decision: 'reject' }, t.reviewer.token)).status, 200)
    const other = await act(id, 'respond', key, { decision: 'approve' }, t.reviewer.token)
    assert.deepEqual([other.status, other.body.code], [422, 'idempotency.body_differs'])
    for (const [otherKey, as] of [
      [freshKey(), t.reviewer.token],
      [key, t.admin.token],
    ] as const) {
      const late = await act(id, 'respond', otherKey, { decision: 'reject' }, as)
      assert.deepEqual(
        [late.status, late.body.code, late.body.decision, late.body.responded_by],
        [409, 'consultation.already_responded', 'reject', t.reviewer.id],
      )
    }
  })

  test('a cancellation, and the use of an approval', async () => {
    const { id } = await t.createRequest()
    const key = freshKey()
    const cancelled = await act(id, 'cancel', key, {}, t.apiKey)
    t.clock.advance(1_000)
    const again = await act(id, 'cancel', key, {}, t.apiKey)
    assert.deepEqual([again.status, again.text], [200, cancelled.text])

    const approved = await t.createRequest()
    const decided = { as: t.reviewer.token, body: { decision: 'approve' } }
    const { digest } = (await t.call('POST', `${path}/${approved.id}/respond`, decided)).body
    const used = await act(approved.id, 'redeem', key, { digest }, t.apiKey)
    t.clock.advance(1_000)
    const repeated = await act(approved.id, 'redeem', key, { digest }, t.apiKey)
    assert.deepEqual([repeated.status, repeated.text], [200, used.text])
    const another = await act(approved.id, 'redeem', freshKey(), { digest }, t.apiKey)
    assert.deepEqual([another.status, another.body.code], [409, 'consultation.already_redeemed'])
  })
})
