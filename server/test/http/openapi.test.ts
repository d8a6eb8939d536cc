import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { rights, scopeNeeded } from '../../src/identity/principal.ts'
import { refusals } from '../../src/platform/problem.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { createReplyChecker } from '../openapi-check.ts'
import { operationsOf as routesOf } from './operations.ts'

/** What clients are made from: each of these holds for every operation, also for those that come later. */

interface Schema {
  readonly $ref?: string
  readonly title?: string
  readonly type?: string | readonly string[]
  readonly format?: string
  readonly description?: string
  readonly enum?: readonly unknown[]
  readonly 'x-extensible-enum'?: readonly unknown[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly required?: readonly string[]
}

interface Example {
  readonly value: { readonly code: string; readonly status: number; readonly detail: string }
}

interface Content {
  readonly schema: Schema
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>
}

interface Response {
  readonly description: string
  readonly headers?: Readonly<Record<string, object>>
  readonly content?: Readonly<Record<string, Content>>
}

interface Parameter {
  readonly in: string
  readonly name: string
  readonly required?: boolean
  readonly description?: string
  readonly schema: Schema
}

interface Operation {
  readonly operationId: string
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> }
  readonly responses: Readonly<Record<string, Response>>
}

interface Document {
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly webhooks: Readonly<Record<string, { readonly post: Operation }>>
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>
    readonly headers: Readonly<Record<string, { readonly description: string }>>
    readonly examples: object
    readonly securitySchemes: Readonly<Record<string, { readonly type: string; readonly scheme?: string }>>
  }
}

let t: TestApp
let document: Document
before(async () => {
  t = await startTestApp()
  document = (await t.call('GET', '/openapi.json')).body as Document
})
after(() => t.stop())

const resolve = (reference: string): unknown =>
  reference
    .slice(2)
    .split('/')
    .reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], document)

/** With every reference replaced by what it refers to, but for those to schemas. */
function inFull<T>(value: T): T {
  return JSON.parse(JSON.stringify(value), (_name, part: { readonly $ref?: string } | null) =>
    typeof part?.$ref === 'string' && !part.$ref.startsWith('#/components/schemas/')
      ? inFull(resolve(part.$ref))
      : part,
  ) as T
}

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path,
      method,
      operation: inFull(operation),
      where: `${method} ${path}`,
    })),
  )

const problemType = 'application/problem+json'
const refusalsAt = ({ responses }: Operation, status: string) =>
  Object.values((responses[status]?.content?.[problemType]?.examples ?? {}) as Readonly<Record<string, Example>>).map(
    ({ value }) => value,
  )

/** Every schema in a part of the document, with where it stands. */
function schemasIn(part: unknown, where: string): { readonly where: string; readonly schema: Schema }[] {
  if (typeof part !== 'object' || part === null) return []
  const inner = Object.entries(part)
    .filter(([name]) => name !== 'example' && name !== 'examples')
    .flatMap(([name, value]) => schemasIn(value, `${where}/${name}`))
  return [{ where, schema: part as Schema }, ...inner]
}

const everySchema = () => [
  ...schemasIn(document.components.schemas, 'schemas'),
  ...schemasIn(document.paths, 'paths'),
  ...schemasIn(document.webhooks, 'webhooks'),
]

describe('the document', () => {
  test('has every part of the wire contract', () => {
    for (const [method, path] of [
      ['post', '/api/v1/auth/register'],
      ['post', '/api/v1/auth/login'],
      ['get', '/api/v1/auth/me'],
      ['post', '/api/v1/invitations'],
      ['post', '/api/v1/requests'],
      ['get', '/api/v1/requests'],
      ['get', '/api/v1/requests/{id}'],
      ['post', '/api/v1/requests/{id}/respond'],
      ['post', '/api/v1/api-keys'],
      ['get', '/api/v1/api-keys'],
      ['get', '/api/v1/api-keys/{id}'],
      ['patch', '/api/v1/api-keys/{id}'],
      ['get', '/health'],
      ['get', '/livez'],
      ['get', '/readyz'],
    ] as const) {
      assert.ok(document.paths[path]?.[method] !== undefined, `${method} ${path}`)
    }
  })

  test('every reference resolves within it, and every component is used', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map((match) => match[1] ?? '')
    for (const reference of new Set(references)) {
      assert.match(reference, /^#\//)
      assert.ok(resolve(reference) !== undefined, reference)
    }
    for (const [kind, components] of Object.entries(document.components)) {
      if (kind === 'securitySchemes') continue
      for (const name of Object.keys(components)) {
        assert.ok(references.includes(`#/components/${kind}/${name}`), `nothing refers to ${kind}/${name}`)
      }
    }
  })

  test('what several operations share is written once', () => {
    const parts = document.components
    const operations = Object.values(document.paths).flatMap((path) => Object.keys(path)).length
    // About 3 300 characters each: what they share would make that several times as many.
    assert.ok(JSON.stringify(document).length < 3_500 * operations, 'it is larger than it was')
    const values = [...JSON.stringify(parts.examples).matchAll(/"detail":"([^"]*)"/g)].map((match) => match[1])
    assert.deepEqual(values, [...new Set(values)], 'an example is there twice')
  })

  test('says when to try again, with every 429 and 503', () => {
    const passing = refusals().filter(({ status }) => [429, 503].includes(status))
    assert.ok(passing.length >= 8)
    for (const { code, example } of passing) assert.match(example.headers['retry-after'] ?? '', /^[1-9][0-9]*$/, code)
  })

  test('what the service sends has no closed enum, so that values can be added; what it takes has no open one', () => {
    const found = new Set<string>()
    const walk = (part: unknown, where: string, isSent: boolean): void => {
      if (typeof part !== 'object' || part === null) return
      const { $ref, enum: values, 'x-extensible-enum': open, type } = part as Schema
      if (isSent && Array.isArray(values)) assert.ok(values.length === 1, `${where} is closed`)
      assert.ok(isSent || open === undefined, `${where} is open`)
      if (open !== undefined) assert.ok(open.length > 1 && [type].flat()[0] === 'string', where)
      const [, kind = '', name = ''] = /^#\/components\/(\w+)\/(.+)$/.exec($ref ?? '') ?? []
      const key = `${isSent} ${$ref}`
      if (kind !== '' && !found.has(key)) {
        found.add(key)
        walk((document.components as never as Record<string, Record<string, unknown>>)[kind]?.[name], name, isSent)
      }
      for (const [member, value] of Object.entries(part)) {
        if (member !== 'example' && member !== 'examples') walk(value, `${where}.${member}`, isSent)
      }
    }
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const { responses, callbacks, parameters, requestBody } = operation as unknown as Record<string, unknown>
        walk([responses, callbacks], `${method} ${path}`, true)
        walk([parameters, requestBody], `${method} ${path}`, false)
      }
    }
    walk((document as { readonly webhooks?: unknown }).webhooks, 'webhooks', true)
    for (const name of ['ProblemCode', 'Request', 'Event'])
      assert.ok(found.has(`true #/components/schemas/${name}`), name)
  })

  test('the codes of refusals are listed', () => {
    assert.deepEqual(
      document.components.schemas.ProblemCode?.['x-extensible-enum'],
      refusals().map(({ code }) => code),
    )
    const { Problem } = document.components.schemas
    assert.deepEqual(Problem?.properties?.code, { $ref: '#/components/schemas/ProblemCode' })
  })
})

describe('every schema', () => {
  test('of an input or an output, and every object within, is a component with a name', () => {
    for (const { where, schema } of everySchema()) {
      if (schema.properties === undefined || typeof schema.type !== 'string') continue
      assert.match(where, /^schemas\/[A-Za-z]+$/, `${where} needs a title`)
    }
  })

  test('has a name that Go, too, can take: its clients make functions NewX', () => {
    const names = Object.keys(document.components.schemas)
    for (const name of names) {
      assert.match(name, /^[A-Z][A-Za-z]+$/)
      assert.ok(!name.startsWith('New'), name)
      assert.ok(!/(Response|Params|JSONBody|Client)$/.test(name) || !isOperation(name), name)
    }
  })
  const isOperation = (name: string): boolean =>
    operations().some(({ operation: { operationId } }) => name.toLowerCase().startsWith(operationId.toLowerCase()))

  // Clients made for Java send a list that nobody set as an empty one, which takes away what is there: unless it can be null.
  test('of a body can have null for every list or map that can be left out', () => {
    let lists = 0
    const bodies = operations().flatMap(({ operation, where }) =>
      Object.values(operation.requestBody?.content ?? {}).map(({ schema }) => ({ where, schema: inFull(schema) })),
    )
    for (const { where, schema } of bodies) {
      const { properties = {}, required = [] } = schema.$ref === undefined ? schema : (resolve(schema.$ref) as Schema)
      for (const [name, { type = [] }] of Object.entries(properties)) {
        if (required.includes(name) || !['array', 'object'].some((list) => [type].flat().includes(list))) continue
        if (name === 'assertion') continue // An object of the browser's, with members of its own.
        lists += 1
        assert.ok(type.includes('null'), `${where}: ${name}`)
      }
    }
    assert.ok(lists >= 14)
  })

  test('with an enum has its type, and its values are of it', () => {
    let enums = 0
    for (const { where, schema } of everySchema()) {
      if (!Array.isArray(schema.enum)) continue
      enums += 1
      assert.equal(schema.type, 'string', where)
      for (const value of schema.enum) assert.equal(typeof value, 'string', where)
    }
    assert.ok(enums > 20)
  })

  test('is plain: no choice but "or null", and that by type where the value has no name', () => {
    for (const { where, schema } of everySchema()) {
      if (schema.anyOf === undefined) continue
      const [value, none] = schema.anyOf
      assert.equal(schema.anyOf.length, 2, where)
      assert.ok(value?.$ref !== undefined || value?.enum !== undefined, where)
      assert.deepEqual(none, { type: 'null' }, where)
    }
  })

  test('has no default: a generator for TypeScript makes a property with one required', () => {
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      for (const [property, part] of Object.entries(schema.properties ?? {})) {
        assert.ok(!('default' in part), `${name}.${property}`)
      }
    }
  })

  test('says what each property is', () => {
    const isDescribed = ({ description, $ref, anyOf = [] }: Schema): boolean =>
      description !== undefined ||
      ($ref !== undefined && isDescribed(resolve($ref) as Schema)) ||
      anyOf.some((choice) => isDescribed(choice))
    for (const { where, schema } of everySchema()) {
      if (typeof schema.properties !== 'object' || schema.type === undefined) continue
      for (const [name, property] of Object.entries(schema.properties)) {
        assert.ok(isDescribed(property), `${where}.${name} has no description`)
      }
    }
  })
})

describe('every operation', () => {
  test('has a name of its own, a summary and a tag that is described', () => {
    const names = new Set<string>()
    for (const { operation, where } of operations()) {
      assert.match(operation.operationId, /^[a-z][A-Za-z]+$/, where)
      assert.ok(!names.has(operation.operationId), `${where}: ${operation.operationId} is taken`)
      names.add(operation.operationId)
      assert.ok((operation.summary ?? '').length > 3, where)
      assert.ok((operation.tags ?? []).length > 0, where)
      for (const tag of operation.tags ?? [])
        assert.ok(
          document.tags.some(({ name }) => name === tag),
          `${where}: ${tag}`,
        )
    }
  })

  test('declares and describes each parameter; those of its path are required', () => {
    for (const { path, operation, where } of operations()) {
      const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map((match) => match[1])
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path')
      assert.deepEqual(
        declared.map(({ name }) => name),
        inPath,
        where,
      )
      for (const { required, schema } of declared) {
        assert.equal(required, true, where)
        // No word is one, so that `sso/identities/start` does not fit both `sso/{id}/start` and `sso/identities/{id}`.
        assert.equal(schema.format, 'uuid', where)
      }
      for (const { name, schema, description } of operation.parameters ?? []) {
        assert.equal(typeof schema, 'object', where)
        assert.ok(description !== undefined, `${where}: ${name} has no description`)
      }
    }
  })

  test('takes one media type: generators declare the body of each', () => {
    for (const { operation, where } of operations()) {
      if (operation.requestBody === undefined) continue
      const forms: Readonly<Record<string, string>> = {
        login: 'application/x-www-form-urlencoded',
        addAttachment: 'multipart/form-data',
      }
      const wanted = forms[operation.operationId] ?? 'application/json'
      assert.deepEqual(Object.keys(operation.requestBody.content), [wanted], where)
    }
  })

  test('has an example of its body and of its success, which fits the schema', () => {
    const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true })
    addFormats.default(ajv)
    ajv.addFormat('single-line', true)
    ajv.addSchema({ $id: 'openapi.json', components: document.components })
    const requireFit = (where: string, { schema, example, examples = {} }: Content): void => {
      const all = [...(example === undefined ? [] : [example]), ...Object.values(examples).map(({ value }) => value)]
      assert.ok(all.length > 0, `${where} has no example`)
      const local = JSON.stringify(schema).replaceAll('"#/components', '"openapi.json#/components')
      const validate = ajv.compile(JSON.parse(local) as object)
      for (const each of all) assert.ok(validate(each), `${where}: ${ajv.errorsText(validate.errors)}`)
    }
    for (const { operation, where } of operations()) {
      for (const content of Object.values(operation.requestBody?.content ?? {})) requireFit(`${where} body`, content)
      const successes = Object.entries(operation.responses).filter(([status]) => /^[123]/.test(status))
      assert.ok(successes.length > 0, where)
      for (const [status, { content }] of successes) {
        if (content === undefined) {
          // 101: a WebSocket; 303: for browsers, which go on to another address (single sign-on); 304: the caller has it.
          assert.match(status, /^(101|204|303|304)$/, where)
          continue
        }
        for (const [type, each] of Object.entries(content)) {
          // Streams and pages are what their media type says, files what they are.
          if (type === '*/*') assert.deepEqual(each.schema, { type: 'string', format: 'binary' }, where)
          else if (type === 'application/json') requireFit(`${where} ${status}`, each)
          else {
            // The shapes of its events are components; that they exist is held above.
            const { 'x-event-data': _, ...schema } = each.schema as Readonly<Record<string, unknown>>
            assert.deepEqual(schema, { type: 'string' }, where)
          }
        }
      }
    }
  })

  test('lists its refusals by code, as problem+json, and under default what any call can meet', () => {
    const ofAnyCall = new Set(operations().map(({ operation }) => JSON.stringify(operation.responses.default)))
    assert.equal(ofAnyCall.size, 1)
    for (const { operation, where } of operations()) {
      const statuses = Object.keys(operation.responses).filter((status) => !/^[123]/.test(status))
      for (const status of statuses) {
        const content = operation.responses[status]?.content
        if (content?.[problemType] === undefined) {
          // What a health check says, it says in its own form.
          assert.match(`${where} ${status}`, /^get \/(health|readyz) 503$/)
          continue
        }
        assert.deepEqual(content[problemType].schema, { $ref: '#/components/schemas/Problem' }, where)
        assert.ok(refusalsAt(operation, status).length > 0, `${where} ${status} has no example`)
        for (const { code, status: its } of refusalsAt(operation, status)) {
          assert.ok(status === 'default' || String(its) === status, `${where} ${status} ${code}`)
        }
      }
      const general = refusalsAt(operation, 'default').map(({ status }) => status)
      assert.deepEqual([...new Set(general)].sort(), [400, 405, 408, 413, 415, 429, 431, 500, 503], where)
    }
  })

  test('says of wrong input what it really says', async () => {
    for (const { operation, where, path, method } of operations()) {
      const [example] = refusalsAt(operation, '422').filter(({ code }) => code === 'request.invalid')
      assert.ok(example !== undefined, where)
      const { body } = routesOf(t).find(({ id }) => id === operation.operationId) ?? {}
      const members = Object.keys(body?.properties ?? {})
      const required = (body as { readonly required?: readonly string[] } | undefined)?.required ?? []
      const misspelt = /^(\S+) is not known/.exec(example.detail)?.[1]
      const named = required.length > 0 ? required[0] : undefined
      if (named !== undefined) assert.match(example.detail, new RegExp(`^${named} is required`), where)
      if (body === undefined || members.length === 0) continue
      const as = operation.security?.some(({ apiKey }) => apiKey !== undefined) ? t.apiKey : t.admin.token
      const reply = await t.call(method.toUpperCase(), path.replaceAll(/\{[^}]+\}/g, t.admin.id), {
        as,
        body: misspelt === undefined ? {} : { [misspelt]: '1' },
      })
      // Some look at who calls, and for what, before they look at the body.
      if (reply.status === 422) assert.equal(reply.body.detail, example.detail, where)
    }
  })

  test('says which credential it takes, and the scope that a key needs', async () => {
    const { securitySchemes } = document.components
    assert.deepEqual(
      Object.entries(securitySchemes).map(([name, { type, scheme }]) => [name, type, scheme]),
      [
        ['person', 'oauth2', undefined],
        ['accessToken', 'http', 'bearer'],
        ['sessionCookie', 'apiKey', undefined],
        ['apiKey', 'http', 'bearer'],
      ],
    )
    const scopes = new Map<string, string[]>()
    for (const { operation, where, path, method } of operations()) {
      assert.ok(operation.security !== undefined, where)
      const reply = async (as?: string) =>
        await t.call(method.toUpperCase(), path.replaceAll(/\{[^}]+\}/g, t.admin.id), as === undefined ? {} : { as })
      // Signing out works with and without a credential.
      if (operation.security.some((scheme) => Object.keys(scheme).length === 0)) continue
      const isPublic = operation.security.length === 0
      assert.equal((await reply()).status === 401, !isPublic, where)
      const takes = (name: string) => operation.security?.some((scheme) => scheme[name] !== undefined)
      assert.equal(takes('person'), takes('accessToken'), where)
      if (isPublic) continue
      const withKey = await reply(t.apiKey)
      assert.equal(withKey.body?.code === 'auth.forbidden', !takes('apiKey'), `${where} with a key`)
      for (const scope of operation.security.flatMap(({ apiKey = [] }) => apiKey)) {
        scopes.set(scope, [...(scopes.get(scope) ?? []), where])
      }
    }
    assert.deepEqual([...scopes.keys()].sort(), [...new Set(Object.values(scopeNeeded))].sort())
  })

  test('refuses other credentials with the sentence of its example', async () => {
    for (const { operation, where, path, method } of operations()) {
      const [forbidden] = refusalsAt(operation, '403').filter(({ code }) => code === 'auth.forbidden')
      if (forbidden === undefined) continue
      const isForKeys = operation.security?.some(({ apiKey }) => apiKey !== undefined) === true
      const isForPeople = operation.security?.some(({ person }) => person !== undefined) === true
      if (isForKeys && isForPeople) continue
      const reply = await t.call(method.toUpperCase(), path.replaceAll(/\{[^}]+\}/g, t.admin.id), {
        as: isForKeys ? t.admin.token : t.apiKey,
      })
      if (reply.body?.code === 'auth.forbidden') assert.equal(reply.body.detail, forbidden.detail, where)
      else assert.equal(operation.operationId, 'logout')
    }
    assert.ok(Object.keys(rights).length > 10)
  })

  test('lists the headers of its replies', () => {
    for (const { operation, where } of operations()) {
      for (const [status, { headers = {}, content }] of Object.entries(operation.responses)) {
        const codes = Object.keys(content?.[problemType]?.examples ?? {})
        if (/^[23]/.test(status)) {
          assert.ok('X-Request-Id' in headers, `${where} ${status}`)
          const isCounted = !/^get \/(health|livez|readyz)$/.test(where)
          assert.equal('RateLimit' in headers && 'RateLimit-Policy' in headers, isCounted, `${where} ${status}`)
        }
        if (status === '401' && codes.includes('auth.invalid')) assert.ok('WWW-Authenticate' in headers, where)
        if (status === '429') assert.ok('Retry-After' in headers, `${where} ${status}`)
        if (status === 'default') assert.ok('Retry-After' in headers && 'Allow' in headers, where)
      }
      const repeatable = operation.parameters?.some(({ name }) => name === 'idempotency-key') ?? false
      const replayed = Object.values(operation.responses).some(({ headers = {} }) => 'Idempotency-Replayed' in headers)
      assert.equal(replayed, repeatable, where)
    }
    for (const [name, { description }] of Object.entries(document.components.headers)) assert.ok(description, name)
  })
})

test('the callback is described with its body and its headers', () => {
  const { post } = document.webhooks.callback ?? {}
  assert.ok(post)
  assert.deepEqual(
    post.parameters?.map(({ name, in: place, required }) => [name, place, required]),
    [
      ['webhook-id', 'header', true],
      ['webhook-timestamp', 'header', true],
      ['webhook-signature', 'header', false],
      ['x-webhook-signature', 'header', false],
      ['traceparent', 'header', false],
    ],
  )
  const asked = document.paths['/api/v1/requests']?.post as unknown as { readonly callbacks: object }
  const outcome = { ...post, operationId: 'outcome' }
  assert.deepEqual(asked.callbacks, { outcome: { '{$request.body#/callback_webhook}': { post: outcome } } })
  assert.deepEqual(post.requestBody?.content['application/json']?.schema, { $ref: '#/components/schemas/Callback' })
})

test('the harness takes a reply for that of the path that is written out, not of an id in its place', () => {
  const only = (status: string) => ({ responses: { [status]: { headers: {} } } })
  const check = createReplyChecker({
    paths: {
      '/api/v1/keys/{id}': { get: only('200'), post: only('200') },
      '/api/v1/keys/leaked': { post: only('202') },
    },
    components: { examples: {} },
  })
  const reply = (status: number) => ({ status, headers: {}, text: '', body: undefined })
  check('POST', '/api/v1/keys/leaked', reply(202))
  assert.throws(() => check('POST', '/api/v1/keys/leaked', reply(200)), /POST \/api\/v1\/keys\/leaked 200 is not in/)
  check('POST', '/api/v1/keys/1', reply(200))
})
