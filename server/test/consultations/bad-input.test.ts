import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { startTestApp, type TestApp } from '../harness.ts'
import { tableContents } from './table-contents.ts'

let t: TestApp
let id: string
before(async () => {
  t = await startTestApp()
  id = (await t.createRequest({ timeout_minutes: null })).id
  // The first answer, refused or not, makes the installation's first signing key, which would be taken for a trace of it.
  await t.app.identity.signingKeys.signer('certificate')
})
after(() => t.stop())

const path = '/api/v1/requests'

interface Call {
  readonly method: string
  readonly url: string
  readonly as: 'key' | 'person'
  readonly headers?: Readonly<Record<string, string>>
  readonly payload?: string | Buffer
}

/** As they were after the last call that was not refused. */
let contents: Awaited<ReturnType<typeof tableContents>> | undefined

/** Asserts that the reply is not a 5xx, and that a refusal is a problem and changed no table. */
async function survives({ method, url, as, headers = {}, payload }: Call): Promise<void> {
  contents ??= await tableContents(t)
  const authorization = `Bearer ${as === 'key' ? t.apiKey : t.reviewer.token}`
  const reply = await t.app.http.inject({
    method: method as 'GET',
    url,
    headers: { authorization, ...headers },
    ...(payload === undefined ? {} : { payload }),
  })
  assert.ok(reply.statusCode >= 200 && reply.statusCode < 500, `${reply.statusCode} ${reply.body}`)
  if (reply.statusCode < 400) {
    if (method !== 'GET') contents = undefined
    return
  }
  assert.match(String(reply.headers['content-type']), /^application\/problem\+json/)
  const { detail, code, status, request_id: trace } = JSON.parse(reply.body)
  assert.deepEqual(
    [typeof detail, typeof code, status, trace],
    ['string', 'string', reply.statusCode, reply.headers['x-request-id']],
  )
  assert.doesNotMatch(reply.body, /syntax|select |insert |node_modules|at .*\.ts/i, 'a cause leaked')
  assert.deepEqual(await tableContents(t), contents)
}

const json = { 'content-type': 'application/json' }
const anyJson = fc.json({ stringUnit: 'binary' })
const nasty = fc.oneof(
  fc.constantFrom(
    null,
    true,
    '',
    'x',
    0,
    -1,
    1e308,
    [],
    {},
    [[]],
    '\u0000',
    '\ud800',
    'null',
    '1; drop table users',
    'a'.repeat(300),
  ),
  fc.jsonValue({ stringUnit: 'binary' }),
  fc.string({ unit: 'binary', maxLength: 400 }),
)
const mutated = (valid: Readonly<Record<string, unknown>>, fields: readonly string[]) =>
  fc
    .dictionary(fc.constantFrom(...fields, '__proto__', 'x'), nasty, { minKeys: 1, maxKeys: 4 })
    .map((changes) => JSON.stringify({ ...valid, ...changes }))
const createBodies = mutated({ title: 'x', context: {} }, [
  'title',
  'description',
  'context',
  'metadata',
  'callback_webhook',
  'callback_secret',
  'callback_retry_seconds',
  'timeout_minutes',
])
const respondBodies = mutated({ decision: 'approve' }, ['decision', 'comment', 'revision'])
const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array))
const runs = { numRuns: 150 }

test('POST requests survives any body', async () => {
  const body = fc.oneof({ weight: 3, arbitrary: createBodies }, anyJson, fc.string({ unit: 'binary' }), bytes)
  await fc.assert(
    fc.asyncProperty(body, (payload) => survives({ method: 'POST', url: path, as: 'key', headers: json, payload })),
    runs,
  )
})

test('POST respond survives any body', async () => {
  const body = fc.oneof({ weight: 3, arbitrary: respondBodies }, anyJson, bytes)
  await fc.assert(
    fc.asyncProperty(body, (payload) =>
      survives({ method: 'POST', url: `${path}/${id}/respond`, as: 'person', headers: json, payload }),
    ),
    runs,
  )
})

test('POST cancel and redeliver survive any body', async () => {
  const act = fc.constantFrom('cancel', 'redeliver')
  await fc.assert(
    fc.asyncProperty(act, fc.oneof(anyJson, bytes), (name, payload) =>
      survives({ method: 'POST', url: `${path}/${id}/${name}`, as: 'key', headers: json, payload }),
    ),
    { numRuns: 60 },
  )
})

test('every route with an id survives any id', async () => {
  const spelled = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
    fc.uuid(),
    fc.constantFrom('', '.', '..', '%', '%00', '%zz', '%c0%80', '{}', '%F0%9F%A7', 'x'.repeat(300)),
    fc
      .tuple(fc.nat(35), fc.string({ unit: 'binary', maxLength: 2 }))
      .map(([at, text]) => id.slice(0, at) + text + id.slice(at + 1)),
    fc.constantFrom(`urn:uuid:${id}`, `{${id}}`, ` ${id}`, `${id} `, `${id}\n`, id.replaceAll('-', ''), `${id}::uuid`),
  )
  const route = fc.constantFrom(
    ['GET', '', 'key'],
    ['GET', '', 'person'],
    ['POST', '/respond', 'person'],
    ['POST', '/cancel', 'key'],
    ['POST', '/redeliver', 'person'],
    ['GET', '/deliveries', 'key'],
  ) as fc.Arbitrary<readonly [string, string, 'key' | 'person']>
  await fc.assert(
    fc.asyncProperty(route, spelled, fc.boolean(), ([method, act, as], text, escaped) => {
      const place = escaped || !/^[\x21-\x7e]*$/.test(text) ? encodeURIComponent(text.toWellFormed()) : text
      const body = act === '/respond' ? { headers: json, payload: '{"decision":"reject"}' } : {}
      return survives({ method, url: `${path}/${place.replace(/^[?#]/, '')}${act}`, as, ...body })
    }),
    { numRuns: 300 },
  )
})

test('GET requests survives any query', async () => {
  const name = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('state', 'updated_after', 'limit', 'offset', 'cursor') },
    fc.constantFrom('__proto__', 'limit[]', 'constructor', ''),
  )
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }).map((text) => encodeURIComponent(text.toWellFormed())),
    fc.constantFrom(
      '1',
      '100',
      '-0',
      '1e2',
      '0x10',
      '2147483647',
      '9007199254740993',
      'pending',
      'null',
      '%00',
      '%',
      '%ff',
      '2026-01-31T09:00:00Z',
      '9999-12-31T23:59:59Z',
    ),
    fc.uuid().map((text) => Buffer.from(text).toString('base64url')),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 5 }), fc.constantFrom('key', 'person'), (pairs, as) =>
      survives({
        method: 'GET',
        url: `${path}?${pairs.map(([left, right]) => `${left}=${right}`).join('&')}`,
        as: as as 'key',
      }),
    ),
    { numRuns: 300 },
  )
})

test('POST requests survives any header', async () => {
  const name = fc.constantFrom(
    'idempotency-key',
    'x-request-id',
    'content-type',
    'content-encoding',
    'accept',
    'origin',
    'authorization',
    'x-forwarded-for',
    'host',
    'if-match',
    'expect-ct',
  )
  const value = fc.oneof(
    fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)), maxLength: 300 }),
    fc.constantFrom(
      '',
      'null',
      'Bearer',
      'Bearer ',
      'application/json',
      'application/json; charset=utf-16',
      'application/jsonp',
      '*/*',
      'gzip',
      'identity',
    ),
  )
  const payload = '{"title":"x","context":{}}'
  await fc.assert(
    fc.asyncProperty(fc.dictionary(name, value, { maxKeys: 3 }), (headers) =>
      survives({ method: 'POST', url: path, as: 'key', headers: { ...json, ...headers }, payload }),
    ),
    runs,
  )
})
