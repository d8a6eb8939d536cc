import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { addFile, png } from '../attachments/add-file.ts'
import { eventually } from '../eventually.ts'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { addPerson } from '../people-and-keys.ts'
import { receiverFor } from '../receivers.ts'
import { sha256OfJson } from './sha256-of-json.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

const path = (id: string, act = '') => `/api/v1/requests/${id}${act}`
const read = async (id: string, as = t.apiKey) => (await t.call('GET', path(id), { as })).body
const respond = (id: string, body: object, as = t.reviewer.token, headers = {}): Promise<Reply> =>
  t.call('POST', path(id, '/respond'), { as, body: { decision: 'approve', ...body }, headers })
const add = async (id: string, sent: Parameters<typeof addFile>[2] = {}) => {
  const reply = await addFile(t, id, sent)
  assert.equal(reply.status, 201, reply.text)
  return reply.body
}
const content = async (id: string, file: string, as = t.apiKey) => {
  const headers = { authorization: `Bearer ${as}` }
  const reply = await t.app.http.inject({ method: 'GET', url: path(id, `/attachments/${file}`), headers })
  return { status: reply.statusCode, bytes: reply.rawPayload }
}
/** A request that asks for files. */
const asked = async (attachments: object | null = {}, more: object = {}): Promise<string> =>
  (await t.createRequest({ ...(attachments && { answer: { attachments } }), ...more })).id
const claimsOf = ({ body }: Reply) => JSON.parse(Buffer.from(body.certificate.split('.')[1], 'base64url').toString())
const left = async (id: string) =>
  (await t.sql('select id from attachments where request_id = $1 order by id', [id])).map((row) => row.id)
const failing = async (id: string): Promise<readonly unknown[]> => {
  await t.app.audit.drain()
  const { body } = await t.call('GET', path(id, '/evidence'), { as: t.admin.token })
  return body.checks.filter(({ result }: { result: string }) => result === 'fails')
}
const week = 7 * 86_400_000

/** Runs with the clock ahead, and sets it back: other tests' sessions go on. */
async function later(ms: number, then: () => Promise<void>): Promise<void> {
  t.clock.advance(ms)
  await then()
  t.clock.advance(-ms)
}

describe('files of an answer', () => {
  test('are in it, in its certificate, callback and evidence, and its agent reads them', async (c) => {
    const receiver = await receiverFor(c)
    const id = await asked({ min: 1 }, { callback_webhook: receiver.url })
    const { digest } = await read(id)
    const files = [await add(id, { name: 'a.png' }), await add(id, { name: 'b.txt', type: 'text/plain', content: 'b' })]
    const ids = files.map((file) => file.id)
    assert.equal((await content(id, ids[0])).status, 404, 'nobody else sees it before')
    const reply = await respond(id, { attachments: ids.toReversed() })
    assert.equal(reply.status, 200, reply.text)
    const listed = files.toReversed()
    assert.deepEqual(reply.body.response.attachments, listed)
    assert.deepEqual([reply.body.digest, reply.body.attachments], [digest, []], 'the question is what it was')
    assert.equal(claimsOf(reply).attachments_digest, sha256OfJson(listed))
    await t.app.drain()
    const [sent] = await receiver.waitFor(1)
    const { response } = JSON.parse(`${sent?.body}`)
    assert.deepEqual(response.attachments, listed)
    assert.deepEqual(response.responder, { id: t.reviewer.id, name: 'Robin Reviewer' })
    for (const as of [t.apiKey, t.admin.token]) assert.deepEqual((await content(id, ids[0], as)).bytes, png)
    const { body } = await t.call('GET', '/api/v1/requests?limit=1', { as: t.apiKey })
    assert.deepEqual(body.items[0].response.attachments, listed)
    assert.deepEqual(await failing(id), [])
    const page = await t.call('GET', path(id, '/evidence?format=html'), { as: t.admin.token })
    assert.match(page.text, /b\.txt \(text\/plain, 1 bytes, SHA-256 [0-9a-f]{64}\)/)
    await later(week, () => t.app.drain())
    assert.deepEqual(await left(id), ids)
  })

  test('that were changed in the row are seen', async () => {
    const id = await asked()
    await respond(id, { attachments: [(await add(id)).id] })
    await t.sql(
      `update consultation_answers set attachments = replace(attachments::text, 'scan', 'scam')::json where request_id = $1`,
      [id],
    )
    const shown = await t.call('GET', path(id), { as: t.apiKey })
    assert.deepEqual([shown.status, shown.body.differs], [409, ['attachments_digest']])
    assert.match(JSON.stringify(await failing(id)), /certified attachments_digest/)
  })

  test('are those that the same person added to the same request, which no answer has', async () => {
    const other = await addPerson(t)
    const elsewhere = await asked()
    for (const [what, fileOf, said] of [
      ['of another person', async (id: string) => add(id, { as: other.token }), /you added to this request/],
      ['of the agent', async (id: string) => add(id, { as: t.apiKey }), /you added to this request/],
      ['of another request', async () => add(elsewhere), /you added to this request/],
      ['that is none', async () => ({ id: t.reviewer.id }), /you added to this request/],
      [
        'of a wrong type',
        async (id: string) => add(id, { content: 'x', type: 'text/plain' }),
        /IMAGE\/\*; the file is text\/plain/,
      ],
    ] as const) {
      const id = await asked({ max: 2, media_types: ['application/pdf', 'IMAGE/*'] })
      const [right, wrong] = [await add(id), await fileOf(id)]
      const { updated_at: at } = await read(id)
      const reply = await respond(id, { attachments: [right.id, wrong.id] })
      assert.equal(reply.status, 422, what)
      assert.deepEqual(
        reply.body.errors.map((error: { path: string }) => error.path),
        ['attachments.1'],
        what,
      )
      assert.match(reply.body.errors[0].message, said)
      assert.deepEqual([(await read(id)).state, (await read(id)).updated_at], ['pending', at], 'nothing changes')
      assert.equal((await respond(id, { attachments: [right.id.toUpperCase()] })).status, 200, what)
    }
  })

  test('are as many as were asked for, each once; to refuse needs none', async () => {
    const paths = ({ body }: Reply) => body.errors?.map((error: { path: string }) => error.path)
    const id = await asked({ min: 2, max: 3 })
    const ids: string[] = []
    for (let n = 0; n < 4; n += 1) ids.push((await add(id)).id)
    for (const [attachments, wrong] of [
      [null, ['attachments']],
      [[], ['attachments']],
      [ids.slice(0, 1), ['attachments']],
      [ids, ['attachments']],
      [[ids[0], ids[0]], ['attachments.1']],
      [['x', ids[0]], ['attachments.0']],
      [{}, ['attachments']],
      [Array.from({ length: 11 }, () => ids[0]), ['attachments']],
    ] as const) {
      const reply = await respond(id, { attachments })
      assert.deepEqual([reply.status, paths(reply)], [422, wrong], JSON.stringify(attachments))
    }
    assert.equal((await respond(id, { decision: 'reject' })).status, 200)
    const nothing = await asked(null)
    const unasked = await respond(nothing, { attachments: [(await add(nothing)).id] })
    assert.deepEqual([unasked.status, paths(unasked)], [422, ['attachments']])
    const wrong = await asked(
      {},
      { answer: { attachments: {}, form: { type: 'object', required: ['a'], properties: { a: { type: 'string' } } } } },
    )
    const both = await respond(wrong, { data: {}, attachments: [t.reviewer.id] })
    assert.deepEqual(paths(both).sort(), ['attachments.0', 'data.a'])
  })

  test('while the decision is held back, the agent sees nothing of them', async () => {
    const id = await asked({}, { hold_seconds: 10 })
    const before = await read(id)
    const { id: file } = await add(id)
    const headers = { 'idempotency-key': 'held' }
    const first = await respond(id, { attachments: [file] }, t.reviewer.token, headers)
    assert.equal(first.status, 200, first.text)
    assert.deepEqual((await respond(id, { attachments: [file] }, t.reviewer.token, headers)).body, first.body)
    const { updated_at: _, ...was } = before
    const { updated_at: at, ...is } = await read(id)
    assert.deepEqual(is, was)
    const wait = await t.call('GET', path(id, '/wait?timeout_seconds=0'), { as: t.apiKey })
    const list = await t.call('GET', '/api/v1/requests?limit=1', { as: t.apiKey })
    assert.deepEqual(
      [wait.body, list.body.items[0]],
      [
        { ...was, updated_at: at },
        { ...was, updated_at: at },
      ],
    )
    const none = await t.call('GET', path(id, `/attachments/${t.reviewer.id}`), { as: t.apiKey })
    const hidden = await t.call('GET', path(id, `/attachments/${file}`), { as: t.apiKey })
    assert.deepEqual({ ...hidden.body, request_id: '' }, { ...none.body, request_id: '' }, 'the same as for none')
    assert.equal((await content(id, file, t.admin.token)).status, 200)
    await later(10_000, () => t.app.drain())
    assert.equal((await content(id, file)).status, 200)
  })

  test('that are taken back are their own again, and go after a week unless another answer has them', async () => {
    const id = await asked({}, { hold_seconds: 10 })
    const [kept, dropped] = [await add(id), await add(id)]
    const undo = () => t.call('POST', path(id, '/undo'), { as: t.reviewer.token })
    assert.equal((await respond(id, { attachments: [kept.id, dropped.id] })).status, 200)
    assert.equal((await undo()).status, 200)
    assert.equal((await content(id, kept.id, t.admin.token)).status, 404)
    assert.equal((await respond(id, { attachments: [kept.id] })).status, 200)
    await later(week, async () => {
      await t.app.drain()
      assert.deepEqual(await left(id), [kept.id])
      assert.equal((await read(id)).response.attachments.length, 1)
    })
  })

  test('of a decision that its agent made void, by withdrawing, by another file or by a revision, go after a week', async () => {
    for (const act of [
      (id: string) => t.call('POST', path(id, '/cancel'), { as: t.apiKey }),
      (id: string) => addFile(t, id, { as: t.apiKey }),
      (id: string) => t.call('POST', path(id, '/revisions'), { as: t.apiKey, body: { title: 'Another', context: {} } }),
    ]) {
      const id = await asked({}, { hold_seconds: 10 })
      const { id: file } = await add(id)
      assert.equal((await respond(id, { attachments: [file] })).status, 200)
      assert.ok((await act(id)).status < 300)
      assert.equal((await content(id, file)).status, 404)
      await later(week, () => t.app.drain())
      assert.equal((await left(id)).includes(file), false)
    }
  })

  test('that an answer took are not used by another one', async () => {
    const id = await asked({})
    const { id: file } = await add(id)
    await respond(id, { attachments: [file] })
    await t.sql(
      `update consultation_requests set state = 'pending', responder_id = null, decision = null, certificate = null,
        certificate_expires_at = null, decided_by = null where id = $1`,
      [id],
    )
    const again = await respond(id, { attachments: [file] })
    assert.equal(again.status, 422)
    assert.match(again.body.errors[0].message, /part of an answer already/)
  })

  test('one that the sweeper is about to delete is either in the answer and stays, or is not', async () => {
    const id = await asked({})
    const { id: file } = await add(id)
    await t.sql('update attachments set discard_at = $2 where id = $1', [file, t.clock.now()])
    const [answered] = await Promise.all([respond(id, { attachments: [file] }), t.app.drain()])
    assert.deepEqual(await left(id), answered.status === 200 ? [file] : [])
  })

  test('one that an answer takes while it is being deleted stays', async () => {
    const id = await asked({})
    const { id: file } = await add(id)
    await t.sql('update attachments set discard_at = $2 where id = $1', [file, t.clock.now()])
    const answering = new pg.Client({ ...t.connection, user: 'postgres' })
    await answering.connect()
    await answering.query('begin')
    await answering.query('update attachments set discard_at = null, sealed_at = now() where id = $1', [file])
    const draining = t.app.drain()
    await eventually('the sweeper waits for the file', async () => {
      const rows = await t.sql(`select from pg_locks where locktype = 'transactionid' and not granted`)
      return rows.length > 0
    })
    await answering.query('commit')
    await answering.end()
    await draining
    assert.deepEqual(await left(id), [file])
  })

  test('are ten at a time from each person, beside those of the question', async () => {
    const id = await asked({})
    const { id: file } = await add(id)
    for (let n = 1; n < 10; n += 1) await add(id)
    const more = await addFile(t, id)
    assert.deepEqual([more.status, more.body.code], [409, 'attachment.too_many'])
    assert.match(more.body.detail, /at most 10 /)
    const other = await addPerson(t)
    await add(id, { as: other.token })
    await add(id, { as: t.apiKey })
    const gone = await t.call('DELETE', path(id, `/attachments/${file}`), { as: t.reviewer.token })
    assert.equal(gone.status, 204)
    await add(id)
  })

  test('go with the request, and with the person, when these are erased; so does the name', async () => {
    const erase = async (subject: object) => {
      await t.app.audit.drain()
      const reply = await t.call('POST', '/api/v1/events/erasures', {
        as: t.admin.token,
        body: { reason: 'x', ...subject },
      })
      assert.equal(reply.status, 200, reply.text)
    }
    const decided = async (more: object = {}, body: object = {}) => {
      const id = await asked({}, more)
      await respond(id, { attachments: [(await add(id, { name: 'secret-name.png' })).id], ...body })
      return id
    }
    const request = await decided()
    await erase({ request_id: request })
    const form = { answer: { attachments: {}, form: { type: 'object', properties: { a: { type: 'string' } } } } }
    const person = await decided(form, { data: { a: 'x'.repeat(5_000) } })
    const large = (await t.call('GET', '/api/v1/requests?limit=1', { as: t.apiKey })).body.items[0]
    assert.equal(large.response_truncated, true)
    await erase({ user_id: t.reviewer.id })
    for (const id of [request, person]) {
      const { response } = await read(id)
      assert.deepEqual([response.attachments, response.responder], [null, { id: t.reviewer.id, name: null }])
      assert.deepEqual(await left(id), [])
      assert.deepEqual(await failing(id), [])
    }
    const small = (await t.call('GET', '/api/v1/requests?limit=1', { as: t.apiKey })).body.items[0]
    assert.deepEqual([small.id, small.response_truncated], [person, undefined])
    assert.deepEqual(await t.sql('select response_bytes from consultation_requests where id = $1', [person]), [
      { response_bytes: 0 },
    ])
    const texts = await t.sql(
      `select 1 from events where record || coalesce(erasable, '') like '%secret-name%'
       union all select 1 from consultation_answers a where a.request_id = any ($1) and a::text ~ 'secret-name|Robin'`,
      [[request, person]],
    )
    assert.deepEqual(texts, [])
  })
})

test('an answer names its person as they were called then', async () => {
  const u = await startTestApp()
  try {
    const { id } = await u.createRequest()
    await u.call('POST', path(id, '/respond'), { as: u.reviewer.token, body: { decision: 'approve' } })
    await u.sql(`update users set name = 'Somebody Else' where id = $1`, [u.reviewer.id])
    const { response } = (await u.call('GET', path(id), { as: u.admin.token })).body
    assert.deepEqual(response.responder, { id: u.reviewer.id, name: 'Robin Reviewer' })
    await u.sql('update consultation_answers set responder_name = null where request_id = $1', [id])
    const older = (await u.call('GET', path(id), { as: u.admin.token })).body
    assert.deepEqual(older.response.responder, { id: u.reviewer.id, name: null })
  } finally {
    await u.stop()
  }
})

test('what the organization has no room for is refused before it has arrived', async () => {
  const environment = { ATTACHMENT_MAX_MIB: '2', ATTACHMENT_ORGANIZATION_MIB: '1' }
  const small = await startTestApp({ environment })
  const url = await small.app.http.listen({ host: '127.0.0.1', port: 0 })
  try {
    const { id } = await small.createRequest()
    const kept = () =>
      small.sql(
        'select (select count(*)::int from attachments) as files, (select count(*)::int from attachment_chunks) as chunks',
      )
    const announced = await addFile(small, id, { as: small.apiKey, type: '', content: Buffer.alloc(1_100_000) })
    assert.deepEqual([announced.status, announced.body.code], [409, 'attachment.quota_used'])
    // Without an announced length: as soon as it is too much.
    const begun =
      '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\ncontent-type: application/octet-stream\r\n\r\n'
    const body = (async function* () {
      yield Buffer.from(begun)
      for (let n = 0; n < 30; n += 1) yield Buffer.alloc(65_536)
    })()
    const headers = { authorization: `Bearer ${small.apiKey}`, 'content-type': 'multipart/form-data; boundary=x' }
    const init = { method: 'POST', headers, body, duplex: 'half' } as unknown as RequestInit
    const reply = await fetch(`${url}${path(id, '/attachments')}`, init)
    assert.deepEqual([reply.status, ((await reply.json()) as { code: string }).code], [409, 'attachment.quota_used'])
    assert.deepEqual(await kept(), [{ files: 0, chunks: 0 }])
  } finally {
    await small.stop()
  }
})
