import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { digestOf } from '../../src/consultations/digest.ts'
import type { JsonText } from '../../src/platform/json.ts'
import { coreQuestion } from '../consultations/core-question.ts'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { addApiKey, addPerson } from '../people-and-keys.ts'

let t: TestApp
before(async () => {
  t = await startTestApp({ environment: { ATTACHMENT_MAX_MIB: '1', ATTACHMENT_MAX_PER_REQUEST: '3' } })
})
after(() => t.stop())

const limit = 1_048_576
const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex')

interface Sent {
  readonly as?: string
  readonly name?: string
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
}

function add(id: string, content: string | Buffer, sent: Sent = {}): Promise<Reply> {
  const { as = t.apiKey, name = 'notes.txt', type = 'application/octet-stream', headers = {} } = sent
  const form = new FormData()
  form.set('file', new Blob([content as never], { type }), name)
  return t.call('POST', `/api/v1/requests/${id}/attachments`, { as, body: form, headers })
}

const get = (id: string, attachment: string, as = t.reviewer.token, headers = {}) =>
  t.app.http.inject({
    method: 'GET',
    url: `/api/v1/requests/${id}/attachments/${attachment}`,
    headers: { authorization: `Bearer ${as}`, ...headers },
  })
const read = async (id: string, as = t.reviewer.token): Promise<Reply['body']> =>
  (await t.call('GET', `/api/v1/requests/${id}`, { as })).body
const respond = (id: string, more: object = {}, as = t.reviewer.token) =>
  t.call('POST', `/api/v1/requests/${id}/respond`, { as, body: { decision: 'approve', ...more } })
const remove = (id: string, attachment: string, as = t.apiKey) =>
  t.call('DELETE', `/api/v1/requests/${id}/attachments/${attachment}`, { as })

test('what an agent adds is on its request, in its digest, in the audit, and comes back byte for byte', async () => {
  const request = await t.createRequest()
  const content = randomBytes(700_000)
  const made = await add(request.id, content, { name: 'Plan für März.bin' })
  assert.equal(made.status, 201, made.text)
  const record = {
    name: 'Plan für März.bin',
    media_type: 'application/octet-stream',
    size: 700_000,
    sha256: sha256(content),
  }
  assert.deepEqual(made.body, { id: made.body.id, ...record })
  assert.equal(made.headers.location, `/api/v1/requests/${request.id}/attachments/${made.body.id}`)
  const now = await read(request.id)
  assert.deepEqual(now.attachments, [made.body])
  const asked = { title: now.title, description: now.description, context: JSON.stringify(now.context) as JsonText }
  assert.equal(
    now.digest,
    digestOf({ ...coreQuestion, ...asked, attachments: JSON.stringify([made.body]) as JsonText }),
  )
  assert.notEqual(now.digest, request.digest)
  assert.ok(now.updated_at > request.updated_at)
  const reply = await get(request.id, made.body.id)
  assert.equal(reply.statusCode, 200)
  assert.ok(reply.rawPayload.equals(content))
  await t.app.audit.drain()
  const events = await t.call('GET', `/api/v1/requests/${request.id}/events`, { as: t.admin.token })
  const added = events.body.items.find(({ kind }: { kind: string }) => kind === 'attachment.added')
  assert.deepEqual(added.after.attachment_id, made.body.id)
  assert.equal(added.after.sha256, record.sha256)
  assert.equal(added.digest, now.digest)
})

test('headers make every file one to save, whatever it is', async () => {
  const { id } = await t.createRequest()
  const svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
  const { body } = await add(id, svg, { name: 'Bild "é" 100%.svg', type: 'image/svg+xml' })
  const { headers } = await get(id, body.id)
  assert.equal(headers['content-type'], 'image/svg+xml')
  assert.match(
    String(headers['content-disposition']),
    /^attachment; filename=".*"; filename\*=UTF-8''Bild%20%22%C3%A9%22%20100%25\.svg$/,
  )
  assert.equal(headers['x-content-type-options'], 'nosniff')
  assert.match(String(headers['content-security-policy']), /default-src 'none'.*; sandbox$/)
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers['content-length'], String(svg.length))
})

test('a decision is on the files that were there: the old digest is refused, the certificate has the new one', async () => {
  const request = await t.createRequest()
  const { body: file } = await add(request.id, 'one')
  const old = await respond(request.id, { digest: request.digest })
  assert.deepEqual([old.status, old.body.code], [409, 'consultation.other_question_shown'])
  const { digest } = await read(request.id)
  const answered = await respond(request.id, { digest })
  assert.equal(answered.status, 200, answered.text)
  const [, claims = ''] = answered.body.certificate.split('.')
  assert.equal(JSON.parse(Buffer.from(claims, 'base64url').toString()).digest, digest)
  for (const late of [await add(request.id, 'two'), await remove(request.id, file.id)]) {
    assert.deepEqual([late.status, late.body.code], [409, 'consultation.already_responded'])
  }
  assert.equal((await get(request.id, file.id)).statusCode, 200)
  await t.app.audit.drain()
  const evidence = await t.call('GET', `/api/v1/requests/${request.id}/evidence`, { as: t.admin.token })
  assert.deepEqual(evidence.body.request.attachments, [file])
  assert.deepEqual(
    evidence.body.checks.filter(({ result }: { result: string }) => result !== 'holds'),
    [],
  )
})

test('a file that was changed in the row is seen: the question is not the one that was asked', async () => {
  const { id } = await t.createRequest()
  await add(id, 'one')
  await t.sql(
    `update consultation_requests set attachments = replace(attachments::text, 'notes', 'nodes')::json where id = $1`,
    [id],
  )
  assert.equal((await respond(id)).body.code, 'consultation.question_changed')
})

test('a content that was changed in the database breaks off, and is never taken for the file', async () => {
  const { id } = await t.createRequest()
  const { body } = await add(id, 'abc'.repeat(200_000))
  await t.sql(
    `update attachment_chunks set bytes = overlay(bytes placing '\\x00'::bytea from 1) where attachment_id = $1`,
    [body.id],
  )
  const reply = await get(id, body.id).catch((error: Error) => error)
  assert.ok(reply instanceof Error || reply.rawPayload.length < 600_000)
})

test('an agent removes its file while the request is open, and the digest is the former one again', async () => {
  const request = await t.createRequest()
  const { body } = await add(request.id, 'one')
  assert.equal((await remove(request.id, body.id, t.reviewer.token)).status, 404)
  assert.equal((await remove(request.id, body.id)).status, 204)
  const now = await read(request.id)
  assert.deepEqual([now.attachments, now.digest], [[], request.digest])
  assert.equal((await get(request.id, body.id)).statusCode, 404)
  assert.deepEqual(await t.sql('select 1 from attachment_chunks where attachment_id = $1', [body.id]), [])
  assert.equal((await respond(request.id, { digest: request.digest })).status, 200)
})

test('what a person adds is seen by that person alone, is no part of the question, and goes after a week', async () => {
  const request = await t.createRequest()
  const { body } = await add(request.id, 'mine', { as: t.reviewer.token })
  assert.equal((await get(request.id, body.id)).statusCode, 200)
  for (const other of [t.admin.token, t.apiKey]) assert.equal((await get(request.id, body.id, other)).statusCode, 404)
  const now = await read(request.id)
  assert.deepEqual([now.attachments, now.digest], [[], request.digest])
  const left = async () => (await t.sql('select 1 from attachments where id = $1', [body.id])).length
  t.clock.advance(7 * 86_400_000 - 1_000)
  await t.app.drain()
  assert.equal(await left(), 1)
  t.clock.advance(1_000)
  await t.app.drain()
  assert.equal(await left(), 0)
  t.clock.advance(-7 * 86_400_000)
})

test('limits: of a file, of a request, of an organization', async () => {
  const { id } = await t.createRequest()
  for (const size of [0, 1, 262_144, 262_145, limit]) {
    const { id: own } = await t.createRequest()
    const made = await add(own, Buffer.alloc(size, 'a'))
    assert.deepEqual([made.status, made.body.size, made.body.sha256], [201, size, sha256(Buffer.alloc(size, 'a'))])
    const back = await get(own, made.body.id)
    assert.deepEqual([back.statusCode, back.rawPayload.length], [200, size])
    assert.ok(back.rawPayload.equals(Buffer.alloc(size, 'a')))
  }
  for (const more of [1, 20_000]) {
    const large = await add(id, Buffer.alloc(limit + more))
    assert.deepEqual([large.status, large.body.code], [413, 'attachment.too_large'])
    assert.match(large.body.detail, /1048576 bytes/)
  }
  assert.deepEqual(await t.sql('select 1 from attachments where request_id = $1', [id]), [], 'nothing is left of them')
  for (let n = 0; n < 3; n += 1) assert.equal((await add(id, `${n}`, { name: 'same.txt' })).status, 201)
  const fourth = await add(id, '4')
  assert.deepEqual([fourth.status, fourth.body.code], [409, 'attachment.too_many'])
})

test('the files of an organization are counted, also when they go', async () => {
  const small = await startTestApp({ environment: { ATTACHMENT_MAX_MIB: '1', ATTACHMENT_ORGANIZATION_MIB: '1' } })
  const used = async () => (await small.sql('select bytes from attachment_usage'))[0]?.bytes
  const post = (id: string, bytes: number) => {
    const form = new FormData()
    form.set('file', new Blob([Buffer.alloc(bytes)]), 'x')
    return small.call('POST', `/api/v1/requests/${id}/attachments`, { as: small.apiKey, body: form })
  }
  try {
    const { id } = await small.createRequest()
    const first = await post(id, 800_000)
    assert.equal(first.status, 201)
    const second = await post(id, 300_000)
    assert.deepEqual([second.status, second.body.code], [409, 'attachment.quota_used'])
    assert.equal(await used(), '800000')
    const path = `/api/v1/requests/${id}/attachments/${first.body.id}`
    assert.equal((await small.call('DELETE', path, { as: small.apiKey })).status, 204)
    assert.equal(await used(), '0')
    assert.equal((await post(id, 300_000)).status, 201)
  } finally {
    await small.stop()
  }
})

test('the same call with the same Idempotency-Key adds one file, also at once and after the answer', async () => {
  const { id } = await t.createRequest()
  const headers = { 'idempotency-key': 'once' }
  const [a, b] = await Promise.all([add(id, 'one', { headers }), add(id, 'one', { headers })])
  assert.deepEqual([a?.status, b?.status, b?.body], [201, 201, a?.body])
  assert.equal([a, b].filter((reply) => reply?.headers['idempotency-replayed'] === 'true').length, 1)
  const other = await add(id, 'two', { headers })
  assert.deepEqual([other.status, other.body.code], [422, 'idempotency.body_differs'])
  await respond(id)
  assert.deepEqual((await add(id, 'one', { headers })).body, a?.body)
  assert.equal((await read(id)).attachments.length, 1)
  assert.equal((await t.sql('select 1 from attachments where request_id = $1', [id])).length, 1)
})

test('a repeated creation gets the request as it was created, without the files', async () => {
  const headers = { 'idempotency-key': 'created' }
  const create = () => t.call('POST', '/api/v1/requests', { as: t.apiKey, body: { title: 'x', context: {} }, headers })
  const { body } = await create()
  await add(body.id, 'one')
  assert.deepEqual((await create()).body, body)
})

test('erasing the request erases names and contents; its digest stays', async () => {
  const { id } = await t.createRequest()
  const { body } = await add(id, 'secret content', { name: 'secret-name.txt' })
  const { digest } = await read(id)
  await t.call('POST', `/api/v1/requests/${id}/cancel`, { as: t.apiKey })
  await t.app.audit.drain()
  const erasure = await t.call('POST', '/api/v1/events/erasures', {
    as: t.admin.token,
    body: { request_id: id, reason: 'a test' },
  })
  assert.equal(erasure.status, 200, erasure.text)
  const now = await read(id)
  assert.deepEqual([now.attachments, now.digest], [[], digest])
  assert.equal((await get(id, body.id)).statusCode, 404)
  const left = await t.sql(
    `select (select count(*) from attachments where request_id = $1) + (select count(*) from attachment_chunks where attachment_id = $2)
      + (select count(*) from events where subject_id = $1 and (record || coalesce(erasable, '')) like '%secret-name%') as n`,
    [id, body.id],
  )
  assert.deepEqual(left, [{ n: '0' }])
})

test('one who may not see the request, or the file, gets the same bytes as for one that does not exist', async () => {
  const { id } = await t.createRequest()
  const { body } = await add(id, 'one')
  const { raw: stranger } = await addApiKey(t)
  const person = await addPerson(t, '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4aff').catch(() => null)
  const missing = '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a70'
  const text = async (request: string, attachment: string, as: string) => {
    const reply = await get(request, attachment, as)
    return [reply.statusCode, reply.body.replace(/"request_id":"[^"]*"/, '')]
  }
  for (const as of [stranger, ...(person === null ? [] : [person.token])]) {
    assert.deepEqual(await text(id, body.id, as), await text(missing, missing, as))
    assert.deepEqual((await add(id, 'x', { as })).body.code, 'consultation.not_found')
  }
  const { id: another } = await t.createRequest()
  assert.deepEqual(await text(another, body.id, t.apiKey), await text(another, missing, t.apiKey))
})

test('the end of an organization deletes its files, and notes the objects that a store is to delete', async () => {
  const ending = await startTestApp()
  try {
    const { id } = await ending.createRequest()
    const form = new FormData()
    form.set('file', new Blob(['x'.repeat(300_000)]), 'x')
    const { body } = await ending.call('POST', `/api/v1/requests/${id}/attachments`, {
      as: ending.apiKey,
      body: form,
    })
    await ending.sql(`update attachments set storage = 's3' where id = $1`, [body.id])
    await ending.sql('update organizations set delete_after = $1', [ending.clock.now()])
    await ending.app.drain()
    // It has begun; its rows go after a quiet time.
    ending.clock.advance(3_600_000)
    await ending.app.drain()
    const left = await ending.sql(
      'select (select count(*) from attachments) as files, (select count(*) from attachment_chunks) as chunks, (select count(*) from attachment_usage) as used',
    )
    assert.deepEqual(left, [{ files: '0', chunks: '0', used: '0' }])
    assert.deepEqual(await ending.sql('select id from discarded_objects'), [{ id: body.id }])
  } finally {
    await ending.stop()
  }
})
