import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { startTestApp, type TestApp } from '../harness.ts'

/** For any input: no 5xx, only documented replies (which the harness checks), and a refusal changes nothing. */

let t: TestApp
let tables: readonly string[]
before(async () => {
  t = await startTestApp()
  const found = await t.sql(
    // Not the tables that count calls and attempts, because refused ones count.
    `select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'
     and table_name not in ('rate_limits', 'attempt_tallies')`,
  )
  tables = found.map((row) => String(row.table_name)).sort()
  assert.ok(tables.includes('users') && tables.includes('events'))
})
after(() => t.stop())

/** The audit records refusals as well. */
const changesOnly = `where kind not in ('access.refused', 'credential.refused', 'sign_in.failed')`

/** The row count of each table, and the content of the identity tables except the time of a key's last use. */
async function everything(): Promise<string> {
  const counts = tables
    .map((table) => `(select count(*) from ${table} ${table === 'events' ? changesOnly : ''}) as ${table}`)
    .join(', ')
  const kept = `(select md5(string_agg(row(id, name, description, is_active, key_hash)::text, '' order by id)) from api_keys)`
  const [row] = await t.sql(`select ${counts}, ${kept} as keys_kept,
    (select md5(string_agg(u::text, '' order by id)) from users u) as users_kept,
    (select md5(string_agg(i::text, '' order by id)) from invitations i) as invitations_kept`)
  return JSON.stringify(row)
}

const routes = [
  ['POST', '/api/v1/auth/register'],
  ['POST', '/api/v1/auth/login'],
  ['GET', '/api/v1/auth/me'],
  ['POST', '/api/v1/invitations'],
  ['POST', '/api/v1/api-keys'],
  ['GET', '/api/v1/api-keys'],
  ['GET', '/api/v1/api-keys/{id}'],
  ['PATCH', '/api/v1/api-keys/{id}'],
  ['GET', '/api/v1/health'],
  ['GET', '/openapi.json'],
  ['GET', '/docs'],
  ['GET', '/redoc'],
  ['GET', '/setup'],
] as const

interface Call {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly payload: string | Buffer | undefined
}

async function send({ method, path, headers, payload }: Call): Promise<void> {
  const before = await everything()
  const reply = await t.call(method, path, { headers, ...(payload === undefined ? {} : { payload }) })
  assert.ok(reply.status < 500, `${reply.status} ${reply.text}`)
  assert.ok(reply.status < 300 || reply.status >= 400, 'nothing is redirected')
  if (reply.status < 400) return
  assert.equal(await everything(), before, `${reply.status} ${reply.text}`)
  assert.equal(reply.headers['content-type'], 'application/problem+json; charset=utf-8')
  if (method !== 'HEAD') assert.ok(typeof reply.body.detail === 'string' && reply.body.detail.length > 5)
}

const text = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '',
    '\0',
    '__proto__',
    'constructor',
    'null',
    'true',
    '1e999',
    "' or 1=1 --",
    '💥',
    'x'.repeat(1_001),
  ),
)
const json = fc.oneof(
  { weight: 3, arbitrary: text },
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(1e308, -0, 1.5, true, null),
)
const fields = ['email', 'password', 'name', 'invitation', 'username', 'role', 'description', 'is_active', '__proto__']
// Written as text, so that "__proto__" is a member like any other.
const object = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...fields), json), { selector: ([name]) => name, maxLength: 6 })
  .map((members) => `{${members.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`)
const body = fc.oneof(
  { weight: 4, arbitrary: object },
  { weight: 1, arbitrary: json.map((value) => JSON.stringify(value)) },
)

const credential = () =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constant(`Bearer ${t.admin.token}`) },
    fc.constantFrom(`Bearer ${t.reviewer.token}`, `Bearer ${t.apiKey}`, 'Bearer', 'Bearer x', ''),
    fc.string({ maxLength: 40 }).map((value) => `Bearer ${value}`),
  )
const id = () =>
  fc.oneof(
    fc.uuid(),
    fc.constant(t.admin.id),
    text.filter((value) => value.isWellFormed()).map(encodeURIComponent),
    fc.string({ maxLength: 10 }).map((value) => value.replace(/[/?#\s]/g, '%')),
  )
// Nothing, `.` and `..` would name another operation, since an address is normalised before it is sent.
const pathOf = (template: string) =>
  id().map((value) => template.replace('{id}', /^\.{0,2}$/.test(value) ? '%20' : value))

describe('any JSON to every route', () => {
  for (const [method, template] of routes) {
    test(`${method} ${template}`, async () => {
      // Each complete login costs a fifth of a second of hashing.
      const numRuns = template.endsWith('login') ? 40 : 80
      const call = fc.record({
        path: pathOf(template),
        authorization: credential(),
        payload: fc.option(body, { nil: undefined }),
      })
      await fc.assert(
        fc.asyncProperty(call, ({ path, authorization, payload }) => {
          const headers = { authorization, ...(payload === undefined ? {} : { 'content-type': 'application/json' }) }
          return send({ method, path, headers, payload: method === 'GET' ? undefined : payload })
        }),
        { numRuns },
      )
    })
  }
})

test('any bytes under any content type, to the routes that take bodies', async () => {
  const contentType = fc.oneof(
    fc.constantFrom(
      'application/json',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=b',
      'multipart/form-data; boundary="',
      'multipart/form-data',
      'text/plain',
      'application/json; charset=utf-16',
      '',
    ),
    fc.string({ maxLength: 30 }),
  )
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array)),
    body.map((value) => Buffer.from(value.slice(0, -1))),
    fc
      .array(
        fc.constantFrom(
          '--b',
          '--b--',
          '\r\n',
          '\n',
          'Content-Disposition: form-data; name="username"',
          '; filename=x',
          'Content-Type: application/json',
          'x',
          ':',
          '"',
        ),
        { maxLength: 14 },
      )
      .map((parts) => Buffer.from(parts.join(''))),
    fc
      .array(fc.constantFrom('username', 'password', '=', '&', '%', '%00', '+', '[', ']', '__proto__'), {
        maxLength: 10,
      })
      .map((parts) => Buffer.from(parts.join(''))),
  )
  const writing = fc.constantFrom(...routes.filter(([method]) => method !== 'GET'))
  await fc.assert(
    fc.asyncProperty(writing, contentType, bytes, ([method, template], type, payload) => {
      const headers = { authorization: `Bearer ${t.admin.token}`, 'content-type': type }
      return send({ method, path: template.replace('{id}', t.admin.id), headers, payload })
    }),
    { numRuns: 300 },
  )
})

test('any headers and any query, to every route', async () => {
  const names = [
    'accept',
    'accept-version',
    'content-encoding',
    'content-type',
    'cookie',
    'expect-ct',
    'forwarded',
    'host',
    'idempotency-key',
    'if-none-match',
    'origin',
    'range',
    'x-forwarded-for',
    'x-http-method-override',
    'x-request-id',
    'authorization',
    'accept-encoding',
    'upgrade-insecure-requests',
  ]
  const value = fc.string({ maxLength: 30, unit: 'grapheme-ascii' })
  const headers = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 5 })
  const query = fc.oneof(
    fc.string({ maxLength: 30 }).map((given) => given.replace(/[#\s]/g, '+')),
    fc
      .dictionary(
        text.filter((name) => name.isWellFormed()),
        text.filter((given) => given.isWellFormed()),
        { maxKeys: 3 },
      )
      .map((given) => String(new URLSearchParams(given))),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...routes),
      headers,
      query,
      fc.boolean(),
      ([method, template], given, search, signedIn) => {
        const authorization = signedIn ? { authorization: `Bearer ${t.admin.token}` } : {}
        const path = `${template.replace('{id}', t.admin.id)}?${search}`
        return send({
          method,
          path,
          headers: { ...given, ...authorization },
          payload: method === 'GET' ? undefined : '{}',
        })
      },
    ),
    { numRuns: 400 },
  )
})

test('any path at all', async () => {
  const segment = fc.oneof(
    fc.constantFrom('api', 'v1', 'auth', 'me', 'api-keys', 'docs', 'static', '..', '.', '', '%2e%2e', '%2f', '*'),
    fc.string({ maxLength: 8 }).map((value) => value.replace(/[?#\s\\]/g, '')),
  )
  const method = fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS')
  await fc.assert(
    fc.asyncProperty(method, fc.array(segment, { maxLength: 5 }), credential(), (given, parts, authorization) =>
      send({ method: given, path: `/${parts.join('/')}`, headers: { authorization }, payload: undefined }),
    ),
    { numRuns: 400 },
  )
})
