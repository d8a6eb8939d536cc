import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { refusals } from '../../src/platform/problem.ts'
import { compileCheck } from '../../src/platform/validation.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { type Operation, operationsOf } from './operations.ts'

/** What only a validator or a protocol would say. */
const notForPeople =
  /must NOT|must (?:be (?:string|integer|boolean|array|equal)|match)|[<>]=|\^|\\[ux]|undefined|should be:/
const ofProtocols = /\/api\/v1|\b(?:POST|PATCH|PUT|DELETE) |\bX-[A-Z]|Authorization/

interface Part {
  readonly type?: string | readonly string[]
  readonly [keyword: string]: unknown
}
type Parts = Readonly<Record<string, Part>>

/** Values that each break one keyword of the schema, in a body that holds nothing else. */
function* broken(schema: Part, wrap: (value: unknown) => unknown): Generator<readonly [string, unknown]> {
  const { properties, patternProperties, items, anyOf, type } = schema as {
    readonly properties?: Parts
    readonly patternProperties?: Parts
    readonly items?: Part
    readonly anyOf?: readonly Part[]
    readonly type?: string
  }
  for (const part of anyOf ?? []) yield* broken(part, wrap)
  yield ['type', wrap(type === 'string' ? 4711 : 'text')]
  const text = (length: number) => 'x'.repeat(length)
  const of: Readonly<Record<string, () => unknown>> = {
    minLength: () => text(Number(schema.minLength) - 1),
    maxLength: () => text(Number(schema.maxLength) + 1),
    pattern: () => '\0 "\\ä',
    format: () => '\0',
    enum: () => 'none of these',
    const: () => 'not this',
    minimum: () => Number(schema.minimum) - 1,
    maximum: () => Number(schema.maximum) + 1,
    minItems: () => [],
    maxItems: () => Array.from({ length: Number(schema.maxItems) + 1 }, (_, at) => `x${at}`),
    uniqueItems: () => ['x', 'x'],
    minProperties: () => ({}),
    maxProperties: () =>
      Object.fromEntries(Array.from({ length: Number(schema.maxProperties) + 1 }, (_, at) => [at, 1])),
    required: () => ({}),
  }
  for (const keyword of Object.keys(schema)) {
    const make = of[keyword]
    if (make !== undefined) yield [keyword, wrap(make())]
    else assert.ok(harmless.has(keyword), `${keyword} is not provoked: say here how`)
  }
  for (const [name, part] of Object.entries(properties ?? {})) yield* broken(part, (value) => wrap({ [name]: value }))
  for (const part of Object.values(patternProperties ?? {})) yield* broken(part, (value) => wrap({ x: value }))
  if (items !== undefined) yield* broken(items, (value) => wrap([value]))
}

const harmless = new Set(
  [
    'type',
    'properties',
    'patternProperties',
    'items',
    'anyOf',
    'additionalProperties',
    'title',
    'description',
    'default',
  ].concat(['examples', 'example', '$id', 'x-order']),
)

describe('what a person reads', () => {
  let t: TestApp
  let operations: readonly Operation[]
  before(async () => {
    t = await startTestApp()
    operations = operationsOf(t)
  })
  after(() => t.stop())

  test('no refusal of any keyword of any schema sounds like a validator', () => {
    const wrong: string[] = []
    const seen = new Set<string>()
    for (const { id, body, query } of operations) {
      for (const [schema, part] of [
        [body, 'body'],
        [query, 'text'],
      ] as const) {
        if (schema === undefined) continue
        const check = compileCheck(schema, part)
        for (const [keyword, value] of broken(schema as Part, (value) => value)) {
          const problem = check(value)
          if (problem === null) continue
          seen.add(keyword)
          for (const sentence of [problem.message, ...(problem.errors ?? []).map(({ message }) => message)]) {
            const vague = /is not spelled as it should be|is not valid/.test(sentence)
            if (vague || notForPeople.test(sentence)) wrong.push(`${id} ${keyword}: ${sentence}`)
          }
        }
      }
    }
    assert.deepEqual(wrong, [])
    for (const keyword of [
      'type',
      'minLength',
      'maxLength',
      'pattern',
      'format',
      'enum',
      'minimum',
      'maximum',
      'required',
    ]) {
      assert.ok(seen.has(keyword), keyword)
    }
  })

  test('no refusal begins with the steps of a protocol: they are in other members', () => {
    const technical = refusals()
      .filter(({ status }) => status !== 405)
      .filter(({ example: { message } }) => ofProtocols.test(message) || notForPeople.test(message))
    assert.deepEqual(
      technical.map(({ code, example }) => `${code}: ${example.message}`),
      [],
    )
  })

  test('413 names the limit of the route', async () => {
    const headers = { 'content-type': 'application/json' }
    const strangers = await t.call('POST', '/api/v1/auth/login', { headers, payload: Buffer.alloc(20_000, 0x20) })
    const callers = await t.call('POST', '/api/v1/requests', {
      as: t.apiKey,
      headers,
      payload: Buffer.alloc(1_100_000, 0x20),
    })
    for (const [{ status, body }, limit] of [
      [strangers, '16384'],
      [callers, '1048576'],
    ] as const) {
      assert.equal(status, 413)
      assert.ok(body.detail.includes(limit), body.detail)
    }
  })

  test('401 says invalid_token only where a token was sent', async () => {
    const guarded = operations.filter(
      ({ documented: { security = [] } }) =>
        security.length > 0 && security.every((one) => Object.keys(one).length > 0),
    )
    assert.ok(guarded.length > 50)
    for (const { method, path } of guarded) {
      const at = path.replaceAll(/\{\w+\}/g, () => randomUUID())
      const [without, invalid] = [await t.call(method, at), await t.call(method, at, { as: 'not.a.token' })]
      if (without.status === 401) assert.equal(without.headers['www-authenticate'], 'Bearer realm="hitl"', path)
      assert.equal(invalid.status, 401, path)
      assert.equal(invalid.headers['www-authenticate'], 'Bearer realm="hitl", error="invalid_token"', path)
    }
  })

  test('a sign-out with an API key says that keys have no session', async () => {
    const { status, body } = await t.call('POST', '/api/v1/auth/logout', { as: t.apiKey })
    assert.deepEqual([status, body.code], [403, 'session.not_of_key'])
    assert.match(body.detail, /^An API key cannot sign out/)
  })
})

describe('calls without a body', () => {
  let t: TestApp
  before(async () => {
    t = await startTestApp()
  })
  after(() => t.stop())

  test('a JSON type without a body is as good as no type, for every operation that changes', async () => {
    const differing: string[] = []
    for (const { id, method, path } of operationsOf(t)) {
      if (method === 'GET' || id === 'logout') continue
      const at = path.replaceAll(/\{\w+\}/g, () => randomUUID())
      for (const as of [t.admin.token, t.apiKey]) {
        const bare = await t.call(method, at, { as })
        const typed = await t.call(method, at, { as, headers: { 'content-type': 'application/json' } })
        const asked = typed.body?.code === 'json.empty' && bare.status === 422
        if (typed.status !== bare.status && !asked) differing.push(`${id}: ${bare.status}, with a type ${typed.status}`)
      }
    }
    assert.deepEqual(differing, [])
  })
})
