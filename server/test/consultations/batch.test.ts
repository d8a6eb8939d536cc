import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { type JsonText, parseExactJson, partsOf } from '../../src/platform/json.ts'
import { startTestApp, type TestApp } from '../harness.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const body = (title: string, more: object = {}) => ({ title, context: {}, ...more })
const ask = (requests: unknown, { key, as = t.apiKey }: { key?: string; as?: string } = {}) =>
  t.call('POST', '/api/v1/requests/batch', {
    as,
    body: { requests },
    ...(key === undefined ? {} : { headers: { 'idempotency-key': key } }),
  })
const count = async (): Promise<number> => (await t.call('GET', '/api/v1/requests', { as: t.apiKey })).body.total

describe('POST /requests/batch', () => {
  test('creates all, in order and in one commit, each as a single call makes it', async () => {
    const secret = 'a secret that is never returned'
    const asked = [
      body('one', { metadata: { n: 1 } }),
      body('two', { timeout_minutes: null }),
      body('three', { callback_secret: secret }),
    ]
    const reply = await ask(asked)
    assert.equal(reply.status, 201)
    assert.deepEqual(
      reply.body.items.map(({ title }: { title: string }) => title),
      ['one', 'two', 'three'],
    )
    for (const item of reply.body.items) {
      assert.deepEqual((await t.call('GET', `/api/v1/requests/${item.id}`, { as: t.apiKey })).body, item)
    }
    const ids = reply.body.items.map(({ id }: { id: string }) => id)
    const [{ transactions, facts }] = (await t.sql(
      `select count(distinct xact)::int as transactions, count(*)::int as facts from events
       where kind = 'request.created' and subject_id = any($1)`,
      [ids],
    )) as [{ transactions: number; facts: number }]
    assert.deepEqual({ transactions, facts }, { transactions: 1, facts: 3 })
    assert.ok(!reply.text.includes(secret))
  })

  test('keeps every number and character of each, whatever their order and spacing', async () => {
    const payload =
      '{ "requests" : [ {"context": {"n": 1.50, "s":"\\"]},{", "deep":[[{"a":[]}]]} ,"title":"a"},\n{"metadata":{ "e" : 1E2 },"title":"b","context":{}} ] }'
    const headers = { 'content-type': 'application/json' }
    const { body, text } = await t.call('POST', '/api/v1/requests/batch', { as: t.apiKey, payload, headers })
    assert.ok(text.includes('"context":{"n": 1.50, "s":"\\"]},{", "deep":[[{"a":[]}]]}'))
    assert.ok(text.includes('"metadata":{ "e" : 1E2 }'))
    assert.equal(body.items.length, 2)
  })

  test('creates none when one is wrong, and names its place', async () => {
    const was = await count()
    const cases: readonly (readonly [unknown, string])[] = [
      [[body('a'), { title: 'b' }], 'requests.1.context'],
      [[body('a'), body('b'), body('c'), { ...body('d'), title: '' }], 'requests.3.title'],
      [[body('a'), body('b', { callback_webhook: 'ftp://example.com' })], 'requests.1.callback_webhook'],
      [[body('a', { callback_secret: ' x ' })], 'requests.0.callback_secret'],
      [[body('a', { titel: 1 })], 'requests.0.titel'],
      [[body('a'), 5], 'requests.1'],
      [[], 'requests'],
      [Array.from({ length: 501 }, () => body('a')), 'requests'],
      ['a', 'requests'],
    ]
    for (const [requests, path] of cases) {
      const reply = await ask(requests)
      assert.equal(reply.status, 422, reply.text)
      assert.equal(reply.body.errors[0].path, path)
      assert.ok(reply.body.detail.startsWith(path), reply.body.detail)
    }
    assert.equal(await count(), was)
  })

  test('takes 500, and no more bytes than any body', async () => {
    const was = await count()
    assert.equal((await ask(Array.from({ length: 500 }, (_, n) => body(`${n}`)))).body.items.length, 500)
    assert.equal(await count(), was + 500)
    assert.equal(
      (
        await ask(
          [body('a', { description: 'x'.repeat(99_000) })].concat(
            Array(11).fill(body('b', { description: 'y'.repeat(99_000) })),
          ),
        )
      ).status,
      413,
    )
  })

  test('the same Idempotency-Key: same reply, one effect, also at once and after decisions; another body or number: 422', async () => {
    const was = await count()
    const asked = [body('again'), body('and again')]
    const replies = await Promise.all(Array.from({ length: 6 }, () => ask(asked, { key: 'twice' })))
    const [first] = replies
    for (const reply of replies) {
      assert.equal(reply.status, 201, reply.text)
      assert.equal(reply.text, first?.text)
    }
    assert.equal(replies.filter(({ headers }) => headers['idempotency-replayed'] === 'true').length, 5)
    const id = first?.body.items[0].id
    await t.call('POST', `/api/v1/requests/${id}/cancel`, { as: t.apiKey })
    assert.equal((await ask(asked, { key: 'twice' })).text, first?.text)
    for (const other of [asked.slice(0, 1), [...asked, body('more')], asked.toReversed()]) {
      assert.equal((await ask(other, { key: 'twice' })).body.code, 'idempotency.body_differs')
    }
    assert.equal(await count(), was + 2)
    // The key of a single request is another one.
    const single = await t.call('POST', '/api/v1/requests', {
      as: t.apiKey,
      body: body('single'),
      headers: { 'idempotency-key': 'twice' },
    })
    assert.equal(single.status, 201)
  })
})

test('the parts of any JSON are the texts of its parts', () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(3), (text, indent) => {
      const value = JSON.parse(text)
      if (typeof value !== 'object' || value === null) return
      const spelled = JSON.stringify(value, null, indent)
      try {
        parseExactJson(Buffer.from(spelled))
      } catch {
        return
      }
      const { elements, members } = partsOf(spelled as JsonText)
      const parts = Array.isArray(value)
        ? elements.map((part) => JSON.parse(part))
        : Object.fromEntries([...members].map(([name, part]) => [name, JSON.parse(part)]))
      assert.deepEqual(parts, value)
    }),
  )
})
