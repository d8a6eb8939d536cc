import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { eventually } from '../eventually.ts'
import { type Reply, startTestApp, type TestApp } from '../harness.ts'
import { addApiKey } from '../people-and-keys.ts'

let t: TestApp
let id: string
let port: number
before(async () => {
  t = await startTestApp({ environment: { ATTACHMENT_MAX_MIB: '1', ATTACHMENT_MAX_PER_REQUEST: '100' } })
  id = (await t.createRequest()).id
  await t.app.http.listen({ host: '127.0.0.1', port: 0 })
  port = (t.app.http.server.address() as { readonly port: number }).port
})
after(() => t.stop())

const line = '\r\n'
const head = (disposition: string, type?: string): string =>
  `--b${line}Content-Disposition: ${disposition}${line}${type === undefined ? '' : `Content-Type: ${type}${line}`}${line}`
const part = (content: string | Buffer, disposition: string, type?: string): Buffer =>
  Buffer.concat([Buffer.from(head(disposition, type)), Buffer.from(content), Buffer.from(line)])
const end = Buffer.from(`--b--${line}`)
const file = (content: string | Buffer, name = 'a.txt', type?: string): Buffer =>
  part(content, `form-data; name="file"; filename="${name}"`, type)

function post(
  payload: Buffer | string,
  { as = t.apiKey, to = id, type = 'multipart/form-data; boundary=b' } = {},
): Promise<Reply> {
  return t.call('POST', `/api/v1/requests/${to}/attachments`, { as, payload, headers: { 'content-type': type } })
}
const send = (...parts: readonly Buffer[]): Promise<Reply> => post(Buffer.concat([...parts, end]))
const unfinished = async () => (await t.sql('select 1 from attachments where added_at is null')).length

test('a form that is not one file is refused, and nothing of it stays', async () => {
  const cases: readonly (readonly [what: string, reply: Promise<Reply>, status: number, code: string])[] = [
    ['no part', post(end), 422, 'request.invalid'],
    ['an empty body', post(''), 400, 'form.malformed'],
    ['no boundary', post(file('x'), { type: 'multipart/form-data' }), 400, 'form.malformed'],
    [
      'another boundary',
      post(Buffer.concat([file('x'), end]), { type: 'multipart/form-data; boundary=c' }),
      400,
      'form.malformed',
    ],
    ['cut off in the content', post(file('x')), 400, 'form.malformed'],
    ['cut off in the head', post(head('form-data; name="file"; filename="a"').slice(0, 30)), 400, 'form.malformed'],
    ['a field', send(part('x', 'form-data; name="file"')), 422, 'request.invalid'],
    ['another name', send(part('x', 'form-data; name="data"; filename="a"')), 422, 'request.invalid'],
    ['a name of prototypes', send(part('x', 'form-data; name="__proto__"; filename="a"')), 422, 'request.invalid'],
    ['two files', send(file('x'), file('y')), 422, 'request.invalid'],
    ['a field behind it', send(file('x'), part('1', 'form-data; name="n"')), 422, 'request.invalid'],
    ['JSON', t.call('POST', `/api/v1/requests/${id}/attachments`, { as: t.apiKey, body: {} }), 415, 'http.not_a_form'],
    ['a large head', post(`${head(`form-data; name="file"; filename="${'n'.repeat(20_000)}"`)}x\r\n--b--\r\n`), 0, ''],
  ]
  for (const [what, call, status, code] of cases) {
    const reply = await call
    if (status === 0) assert.ok(reply.status >= 400 && reply.status < 500, `${what}: ${reply.status} ${reply.text}`)
    else assert.deepEqual([reply.status, reply.body.code], [status, code], `${what}: ${reply.text}`)
  }
  assert.equal(await unfinished(), 0)
  assert.deepEqual((await t.call('GET', `/api/v1/requests/${id}`, { as: t.apiKey })).body.attachments, [])
})

test('names are one line that people can read; folders in front of them are dropped', async () => {
  const bad = [
    '',
    '.',
    '..',
    '../..',
    ' a',
    'a ',
    'a\tb',
    'photo\u202egnp.exe',
    '\u200b',
    'a\u2028b',
    'a%0Ab',
    'n'.repeat(256),
  ]
  for (const name of bad) {
    const reply = await send(file('x', name))
    assert.deepEqual([reply.status, reply.body?.code], [422, 'request.invalid'], JSON.stringify(name))
  }
  const kept = [
    ['../../etc/passwd', 'passwd'],
    ['C:\\\\temp\\\\a.txt', 'a.txt'],
    ['a%22b.txt', 'a"b.txt'],
    ['100%.txt', '100%.txt'],
    ['Приклад 例.txt', 'Приклад 例.txt'],
    ['n'.repeat(255), 'n'.repeat(255)],
  ] as const
  for (const [sent, name] of kept) assert.equal((await send(file('x', sent))).body.name, name)
})

const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex')
const pdf = '%PDF-1.7\n1 0 obj\n'
const zip = Buffer.from('504b0304140000000000000000000000000000000000000000000000', 'hex')

test('the declared type is held to the first bytes', async () => {
  const cases: readonly (readonly [declared: string | undefined, content: string | Buffer, kept: string | null])[] = [
    [undefined, 'hello', 'text/plain'],
    ['application/octet-stream', 'hello', 'text/plain'],
    ['application/octet-stream', png, 'image/png'],
    ['application/octet-stream', Buffer.from([0, 1, 2]), 'application/octet-stream'],
    ['image/png', png, 'image/png'],
    ['IMAGE/PNG; q=1', png, 'image/png'],
    ['image/jpeg', png, null],
    ['image/png', 'hello', null],
    ['image/png', Buffer.from([0, 1, 2]), null],
    ['text/plain', png, null],
    ['text/plain', pdf, null],
    ['application/pdf', pdf, 'application/pdf'],
    ['text/html', '<html><script>alert(1)</script>', 'text/html'],
    ['image/svg+xml', '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', 'image/svg+xml'],
    ['application/json', '{"a":1}', 'application/json'],
    ['text/csv', Buffer.from('a;b\r\n\xe4;1', 'latin1'), 'text/csv'],
    ['text/csv', Buffer.from('\ufeffa;b', 'utf16le'), 'text/csv'],
    ['text/plain', Buffer.from('a\u0000b'), null],
    [
      'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
      zip,
      'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    ],
    ['application/x-gzip', gzipSync('x'), 'application/x-gzip'],
    ['application/vnd.example.thing', Buffer.from([0, 1, 2]), 'application/vnd.example.thing'],
    ['application/vnd.example.thing', pdf, null],
    ['image/png', '', 'image/png'],
  ]
  for (const [declared, content, kept] of cases) {
    const reply = await send(file(content, 'a', declared))
    const where = `${declared} ${JSON.stringify(String(content).slice(0, 20))}: ${reply.text}`
    if (kept === null) assert.deepEqual([reply.status, reply.body.code], [422, 'attachment.type_differs'], where)
    else assert.deepEqual([reply.status, reply.body.media_type], [201, kept], where)
  }
  for (const declared of ['nonsense', 'a/b\u00e9', '/', 'text/']) {
    const reply = await send(file('x', 'a', declared))
    assert.deepEqual([reply.status, reply.body.code], [422, 'attachment.type_malformed'], declared)
  }
})

test('archives that unpack to gigabytes, and formats that end in the middle, hold nobody up', async () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000))
  const began = performance.now()
  for (const content of [
    bomb,
    png.subarray(0, 12),
    Buffer.concat([zip, bomb]).subarray(0, 60_000),
    Buffer.from('PK\u0003\u0004'),
  ]) {
    assert.equal((await send(file(content, 'a', 'application/octet-stream'))).status, 201)
  }
  assert.ok(performance.now() - began < 10_000)
})

/** Begins an upload over a real connection; returns what to send the rest with. */
async function begin(as: string, content: string, announced = 1_000) {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  const body = `${head('form-data; name="file"; filename="slow.txt"')}${content}`
  socket.write(
    `POST /api/v1/requests/${id}/attachments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${as}\r\n` +
      `Content-Type: multipart/form-data; boundary=b\r\nContent-Length: ${Buffer.byteLength(body) + announced}\r\nConnection: close\r\n\r\n${body}`,
  )
  await eventually('the upload has begun', async () => (await unfinished()) === 1)
  return socket
}

test('a form that has arrived before its file is taken is taken', async () => {
  for (const content of ['', 'small', 'x'.repeat(500_000)]) {
    const form = new FormData()
    form.set('file', new Blob([content], { type: 'text/plain' }), 'a.txt')
    const headers = { authorization: `Bearer ${t.apiKey}` }
    const reply = await fetch(`http://127.0.0.1:${port}/api/v1/requests/${id}/attachments`, {
      method: 'POST',
      headers,
      body: form,
    })
    assert.equal(reply.status, 201, await reply.text())
  }
})

test('what is left of an upload whose sender hangs up is nothing', async () => {
  const socket = await begin(t.apiKey, 'x'.repeat(300_000))
  socket.destroy()
  await eventually('it is given up', async () => (await unfinished()) === 0)
  assert.deepEqual(
    await t.sql(
      `select 1 from attachment_chunks c where not exists (select from attachments a where a.id = c.attachment_id)`,
    ),
    [],
  )
})

test('a key that is revoked while its file arrives adds nothing', async () => {
  const key = await addApiKey(t)
  await t.sql('update consultation_requests set agent_id = $2 where id = $1', [id, key.agentId])
  const rest = `${'y'.repeat(1_000 - 9)}\r\n--b--\r\n`
  const socket = await begin(key.raw, 'x', rest.length)
  const revoked = await t.call('PATCH', `/api/v1/api-keys/${key.id}`, { as: t.admin.token, body: { is_active: false } })
  assert.equal(revoked.status, 200)
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.write(rest)
  await once(socket, 'close')
  assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 401 /)
  assert.equal(await unfinished(), 0)
})

test('an upload that is left by its process is swept after an hour, and one that is swept cannot end', async () => {
  await t.sql(
    `insert into attachments (organization_id, id, request_id, added_by_kind, added_by_id, name, media_type, storage, discard_at, created_at)
     values ($1, gen_random_uuid(), $2, 'agent', gen_random_uuid(), 'x', 'a/b', 'database', $3, now())`,
    [t.organizationId, id, new Date(t.clock.now().getTime() + 3_600_000)],
  )
  await t.app.drain()
  assert.equal(await unfinished(), 1)
  t.clock.advance(3_600_001)
  await t.app.drain()
  assert.equal(await unfinished(), 0)
})
