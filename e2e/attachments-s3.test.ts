import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Reply, startTestApp, type TestApp } from '../server/test/harness.ts'
import { freePort } from '../server/test/receivers.ts'
import { createS3Server, type S3Server } from './s3-server/start.ts'

let place: string
let s3: S3Server
let t: TestApp
const environment = (more: Readonly<Record<string, string>> = {}) => ({
  S3_ENDPOINT: s3.url,
  S3_ALLOW_HTTP: 'true',
  S3_BUCKET: 'hitl-test',
  S3_ACCESS_KEY_ID: s3.accessKey,
  S3_SECRET_ACCESS_KEY: s3.secretKey,
  S3_PREFIX: 'files/',
  ...more,
})
before(async () => {
  place = await mkdtemp(join(tmpdir(), 'hitl-s3-'))
  s3 = await createS3Server(place, await freePort(), 'hitl-test')
  await s3.start()
  t = await startTestApp({ environment: environment() })
})
after(async () => {
  await t?.stop()
  await s3?.stop()
  await rm(place, { recursive: true, force: true })
})

const objects = async (): Promise<readonly string[]> =>
  (await readdir(s3.folder, { recursive: true, withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isFile())
    .map(({ name, parentPath }) => join(parentPath, name))
const objectOf = async (id: string) => (await objects()).find((path) => path.endsWith(id))

function add(app: TestApp, id: string, content: Buffer): Promise<Reply> {
  const form = new FormData()
  form.set('file', new Blob([content as never]), 'data.bin')
  return app.call('POST', `/api/v1/requests/${id}/attachments`, { as: app.apiKey, body: form })
}
const get = (app: TestApp, id: string, attachment: string, headers: Readonly<Record<string, string>> = {}) =>
  app.app.http.inject({
    method: 'GET',
    url: `/api/v1/requests/${id}/attachments/${attachment}`,
    headers: { authorization: `Bearer ${app.apiKey}`, ...headers },
  })

test('a file is one object, nothing of it is left in PostgreSQL, and it comes back whole and in parts', async () => {
  const { id } = await t.createRequest()
  for (const size of [0, 1, 262_144, 3_000_001]) {
    const content = randomBytes(size)
    const made = await add(t, id, content)
    assert.deepEqual([made.status, made.body.size], [201, size], made.text)
    assert.equal(made.body.sha256, createHash('sha256').update(content).digest('hex'))
    assert.deepEqual(await t.sql('select 1 from attachment_chunks where attachment_id = $1', [made.body.id]), [])
    const path = await objectOf(made.body.id)
    if (size > 0) assert.ok(path?.includes(`files/${t.organizationId}/`) && (await readFile(path)).equals(content))
    assert.ok((await get(t, id, made.body.id)).rawPayload.equals(content))
    if (size < 3) continue
    const part = await get(t, id, made.body.id, { range: 'bytes=100000-200000' })
    assert.deepEqual([part.statusCode, part.headers['content-length']], [206, '100001'])
    assert.ok(part.rawPayload.equals(content.subarray(100_000, 200_001)))
  }
})

test('the object ends after the file: removed, erased, or with its organization', async () => {
  const added = async () => {
    const { id } = await t.createRequest()
    const { body } = await add(t, id, randomBytes(10))
    assert.ok(await objectOf(body.id))
    return { id, file: body.id as string }
  }
  const removed = await added()
  const path = `/api/v1/requests/${removed.id}/attachments/${removed.file}`
  assert.equal((await t.call('DELETE', path, { as: t.apiKey })).status, 204)
  const erased = await added()
  await t.call('POST', `/api/v1/requests/${erased.id}/cancel`, { as: t.apiKey })
  const erasure = { request_id: erased.id, reason: 'a test' }
  assert.equal((await t.call('POST', '/api/v1/events/erasures', { as: t.admin.token, body: erasure })).status, 200)
  await t.app.drain()
  for (const { file } of [removed, erased]) assert.equal(await objectOf(file), undefined)

  const last = await added()
  await t.sql('update organizations set delete_after = $2 where organization_id = $1', [
    t.organizationId,
    t.clock.now(),
  ])
  await t.app.drain()
  // It has begun; its rows go after a quiet time.
  t.clock.advance(3_600_000)
  await t.app.drain()
  assert.equal(await objectOf(last.file), undefined)
  assert.deepEqual(await t.sql('select 1 from discarded_objects'), [])
})

test('with a wrong secret, or while the store is down: 503, and nothing is half there', async () => {
  const wrong = await startTestApp({ environment: environment({ S3_SECRET_ACCESS_KEY: 'another secret' }) })
  const other = await startTestApp({ environment: environment() })
  try {
    const refused = await wrong.createRequest()
    const reply = await add(wrong, refused.id, randomBytes(10))
    assert.deepEqual(
      [reply.status, reply.body.code, reply.headers['retry-after']],
      [503, 'attachment.store_unavailable', '5'],
    )

    const { id } = await other.createRequest()
    const { body: file } = await add(other, id, randomBytes(10))
    await s3.stop()
    const down = [await add(other, id, randomBytes(10)), await get(other, id, file.id)]
    for (const each of down) {
      const status = 'status' in each ? each.status : each.statusCode
      assert.deepEqual([status, each.headers['retry-after']], [503, '5'])
    }
    const { body } = await other.call('GET', `/api/v1/requests/${id}`, { as: other.apiKey })
    assert.deepEqual(body.attachments, [file])
    assert.equal((await other.sql('select 1 from attachments')).length, 1)
    assert.deepEqual(await other.sql('select 1 from attachment_chunks'), [])

    // What was given up is deleted from the store once it is back.
    assert.equal((await other.sql('select 1 from discarded_objects')).length, 1)
    await assert.rejects(other.app.drain())
    await s3.start()
    await other.app.drain()
    assert.deepEqual(await other.sql('select 1 from discarded_objects'), [])
    assert.equal((await get(other, id, file.id)).statusCode, 200)
  } finally {
    await wrong.stop()
    await other.stop()
  }
})
