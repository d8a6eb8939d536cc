import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { subscribe } from 'node:diagnostics_channel'
import { after, before, describe, test } from 'node:test'
import type { FastifyInstance, RouteOptions } from 'fastify'
import { compileCheck } from '../../src/platform/validation.ts'
import { allowed } from '../authorization/expectations.ts'
import { startTestApp, type TestApp } from '../harness.ts'

interface Schema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly format?: string
  readonly maxLength?: number
  readonly maxItems?: number
  readonly maxProperties?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
}

interface Documented {
  readonly operationId: string
  readonly parameters?: readonly { readonly name: string; readonly schema: Schema }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
}

interface Operation {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly documented: Documented
  /** As the route was given it; the document rewrites some of it. */
  readonly body: Schema | undefined
  readonly query: Schema
}

const bodyLimit = 1_048_576

const routes: RouteOptions[] = []
subscribe('fastify.initialization', (message) => {
  const { fastify } = message as { readonly fastify: FastifyInstance }
  fastify.addHook('onRoute', (route) => void routes.push(route))
})

let t: TestApp
let operations: readonly Operation[]
before(async () => {
  t = await startTestApp()
  const { paths } = t.app.http.swagger() as unknown as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Documented>>>>
  }
  operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, documented]) => {
      const route = routes.find(({ schema }) => schema?.operationId === documented.operationId)
      assert.ok(route?.schema)
      const { body, querystring: query } = route.schema as { readonly body?: Schema; readonly querystring: Schema }
      return { id: documented.operationId, method: method.toUpperCase(), path, documented, body, query }
    }),
  )
})
after(() => t.stop())

/** Every part of a schema with its path. */
function partsOf(schema: Schema, path: string): readonly (readonly [string, Schema])[] {
  const { properties = {}, patternProperties = {}, anyOf = [], items, additionalProperties } = schema
  return [
    [path, schema],
    ...Object.entries(properties).flatMap(([name, part]) => partsOf(part, `${path}.${name}`)),
    ...Object.values(patternProperties).flatMap((part) => partsOf(part, `${path}.*`)),
    ...(typeof additionalProperties === 'object' ? partsOf(additionalProperties, `${path}.*`) : []),
    ...anyOf.flatMap((part) => partsOf(part, path)),
    ...(items === undefined ? [] : partsOf(items, `${path}[]`)),
  ]
}

/** What is missing; nothing when there is a bound. Free-form objects have those of every body: its bytes and its depth. */
function missingBound(schema: Schema): string | null {
  const { type, format, maxLength, maxItems, maxProperties, additionalProperties, patternProperties, anyOf } = schema
  if (anyOf !== undefined || schema.const !== undefined) return null
  if (schema.enum !== undefined) return type === 'string' ? null : 'an enum without a type'
  if (type === 'string') return maxLength === undefined && format !== 'uuid' ? 'a string without maxLength' : null
  if (type === 'array') return maxItems === undefined ? 'an array without maxItems' : null
  if (type === 'object') {
    const isMap = patternProperties !== undefined || typeof additionalProperties === 'object'
    return isMap && maxProperties === undefined ? 'a map without maxProperties' : null
  }
  return ['boolean', 'integer', 'null'].includes(type ?? '') ? null : `anything at all (${type})`
}

test('every part of every body, query, path and header has a bound', () => {
  const inputs = operations.flatMap(({ documented: { operationId, parameters = [], requestBody } }) => [
    ...parameters.flatMap(({ name, schema }) => partsOf(schema, `${operationId} ${name}`)),
    ...Object.values(requestBody?.content ?? {}).flatMap(({ schema }) => partsOf(schema, operationId)),
  ])
  assert.ok(inputs.length > 400, `${inputs.length} parts`)
  const missing = inputs.flatMap(([path, part]) => missingBound(part)?.concat(`: ${path}`) ?? [])
  assert.deepEqual([...new Set(missing)], [])
})

test('every enum of the document says what it holds', () => {
  const untyped: string[] = []
  JSON.stringify(t.app.http.swagger(), (key, value) => {
    if (Array.isArray(value?.enum) && value.type === undefined) untyped.push(key)
    return value
  })
  assert.deepEqual(untyped, [])
})

test('a body is at most 16 KiB where anybody may call, and 1 MiB elsewhere', async () => {
  const wrong: string[] = []
  for (const { id, method, path } of operations) {
    if (method === 'GET') continue
    const payload = `{"pad":"${'x'.repeat(16_384)}"}`
    const headers = { 'content-type': 'application/json' }
    const isPublic = allowed[id] === 'public' || id === 'logout'
    const as = allowed[id]?.includes('admin' as never) ? t.admin.token : t.apiKey
    const sent = { payload, headers, ...(isPublic ? {} : { as }) }
    const reply = await t.call(
      method,
      path.replaceAll(/\{\w+\}/g, () => randomUUID()),
      sent,
    )
    // The owner's calls are refused before their bodies are read.
    if (reply.status !== (isPublic ? 413 : 422) && reply.status !== 403)
      wrong.push(`${id}: ${reply.status} ${reply.text}`)
  }
  assert.deepEqual(wrong, [])
})

/** Values that a validator could take long over, of about `size` bytes. */
function hostile(size: number): readonly (readonly [string, unknown])[] {
  const times = (unit: string): string => unit.repeat(Math.floor(size / unit.length))
  const list = (value: unknown, bytes: number) => Array.from({ length: Math.floor(size / bytes) }, () => value)
  const members = (value: unknown) =>
    Object.fromEntries(Array.from({ length: Math.floor(size / 14) }, (_, at) => [`n${at}`, value]))
  return [
    ...['a', ' ', '=', 'a@', 'a.', '\u{1F9ED}'].map(
      (unit) => [`${JSON.stringify(unit)} repeated`, times(unit)] as const,
    ),
    ['letters and a NUL', `${times('a')}\0`],
    ['an address that goes on', `a@${times('a')}@`],
    ['texts', list('x', 4)],
    ['numbers', list(1, 2)],
    ['lists', list([], 3)],
    ['different texts', Array.from({ length: Math.floor(size / 9) }, (_, at) => String(at))],
    ['members', members(1)],
    ['a name as long as all', { [times('a')]: 1 }],
    ['nested lists', nested(Math.min(size / 2, 5_000))],
  ]
}

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level += 1) value = [value]
  return value
}

/** Each hostile value in each place of the schema. */
function bodiesOf(schema: Schema, value: unknown): readonly unknown[] {
  const { properties = {}, patternProperties = {}, anyOf = [], items } = schema
  return [
    value,
    ...Object.entries(properties).flatMap(([name, part]) => bodiesOf(part, value).map((one) => ({ [name]: one }))),
    ...Object.values(patternProperties).flatMap((part) => bodiesOf(part, value).map((one) => ({ x: one }))),
    ...anyOf
      .filter(({ type }) => type === 'object' || type === 'array')
      .flatMap((part) => bodiesOf(part, value).slice(1)),
    ...(items === undefined ? [] : bodiesOf(items, value).map((one) => [one])),
  ]
}

const mostMs = 50

/** How long this thread computed, at best: what else runs on the machine does not count. */
function millisecondsOf(check: (value: unknown) => unknown, value: unknown): number {
  const spent = () => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1_000
  }
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5 && least > mostMs / 3; round += 1) {
    const startedAt = spent()
    check(value)
    least = Math.min(least, spent() - startedAt)
  }
  return least
}

describe('no validator takes long', () => {
  test('over a body at the limit, whatever is in it, or more than in proportion to its size', () => {
    const slow: string[] = []
    let checked = 0
    const large = hostile(bodyLimit)
    const small = hostile(bodyLimit / 16)
    for (const { id, body } of operations) {
      if (body === undefined) continue
      const check = compileCheck(body, 'body')
      check({})
      large.forEach(([what, value], at) => {
        const smaller = bodiesOf(body, small[at]?.[1])
        bodiesOf(body, value).forEach((sent, place) => {
          checked += 1
          const ms = millisecondsOf(check, sent)
          // Sixteen times as much: 256 times as long where the time grows with the square.
          const part = ms < mostMs / 3 ? ms : Math.max(0.5, millisecondsOf(check, smaller[place]))
          if (ms > mostMs || ms > part * 80)
            slow.push(`${id}, place ${place}, ${what}: ${ms} ms, a sixteenth ${part} ms`)
        })
      })
    }
    assert.ok(checked > 1_000, `${checked} bodies`)
    assert.deepEqual(slow, [])
  })

  test('over a query as long as an address can be', () => {
    const slow = operations.flatMap(({ id, query }) => {
      const check = compileCheck(query, 'text')
      check({})
      return hostile(16_384).flatMap(([what, value]) =>
        Object.keys(query.properties ?? {})
          .map((name) => [name, millisecondsOf(check, { [name]: value })] as const)
          .filter(([, ms]) => ms > 5)
          .map(([name, ms]) => `${id} ${name}, ${what}: ${ms} ms`),
      )
    })
    assert.deepEqual(slow, [])
  })

  test('what is wrong with too long a list, or too many members, is said once', async () => {
    const long = { name: 'k', scopes: Array.from({ length: 60_000 }, () => 'requests:read') }
    const reply = await t.call('POST', '/api/v1/api-keys', { as: t.admin.token, body: long })
    assert.deepEqual([reply.status, reply.body.errors.length, reply.body.errors[0].path], [422, 1, 'scopes'])
    const twice = { name: 'k', scopes: ['requests:read', 'requests:read'] }
    assert.equal((await t.call('POST', '/api/v1/api-keys', { as: t.admin.token, body: twice })).status, 422)
    const one = { name: 'k', scopes: ['requests:reed'] }
    const wrong = await t.call('POST', '/api/v1/api-keys', { as: t.admin.token, body: one })
    assert.deepEqual(
      wrong.body.errors.map(({ path }: { path: string }) => path),
      ['scopes.0'],
    )
  })
})
