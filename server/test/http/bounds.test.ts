import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { allowed } from '../authorization/expectations.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { type Operation, operationsOf, type Schema } from './operations.ts'

let t: TestApp
let operations: readonly Operation[]
before(async () => {
  t = await startTestApp()
  operations = operationsOf(t)
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
    // Its body is a form, which has a limit of its own.
    if (method === 'GET' || id === 'addAttachment') continue
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
