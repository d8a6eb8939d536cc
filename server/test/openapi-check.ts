import assert from 'node:assert/strict'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
  readonly body: unknown
}

interface Response {
  readonly headers?: object
  readonly content?: Readonly<Record<string, { readonly schema: object; readonly examples?: object }>>
}

interface Operation {
  readonly responses: Readonly<Record<string, Response | { readonly $ref: string }>>
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly responses?: Readonly<Record<string, Response>>
    readonly examples: Readonly<Record<string, { readonly value: { readonly status?: number } }>>
  }
}

/** Listed at successes only: refusals carry them in the same way. */
const ofAll = ['x-request-id', 'ratelimit', 'ratelimit-policy', 'api-key-expires', 'set-cookie']
/** The headers that programs read: each has to be documented where it is sent. */
const read = [
  'location',
  'retry-after',
  'www-authenticate',
  'allow',
  'etag',
  'idempotency-replayed',
  'content-disposition',
]

/** Checks replies against the OpenAPI document: the status and headers must be listed for the operation, and the body must match its schema. */
export function createReplyChecker(document: Document): (method: string, path: string, reply: Reply) => void {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  // The rule for names in one line is the service's own (http/schema-parts.ts).
  ajv.addFormat('single-line', true)
  // Open to clients, so that values can be added; what is sent today must be listed.
  const isListed = (values: readonly unknown[], sent: unknown) => sent === null || values.includes(sent)
  ajv.addKeyword({ keyword: 'x-extensible-enum', schemaType: 'array', validate: isListed })
  ajv.addSchema({ $id: 'openapi.json', components: document.components })
  const compiled = new Map<string, ValidateFunction>()
  // `/api-keys/revoke-leaked` is not the key of that id.
  const literalFirst = Object.entries(document.paths).sort(([a], [b]) => parametersIn(a) - parametersIn(b))
  const operations = literalFirst.map(([template, methods]) => ({
    pattern: new RegExp(`^(?:/api/v1)?${template.replace(/\{[^}]+\}/g, '[^/]+')}/?$`),
    template,
    methods,
  }))

  return (method, path, reply) => {
    const bare = path.split('?', 1)[0] ?? path
    const fitting = operations.find(({ pattern }) => pattern.test(bare))
    const operation = fitting?.methods[method.toLowerCase()]
    if (fitting === undefined || operation === undefined) return
    const where = `${method} ${fitting.template} ${reply.status}`
    const listed = operation.responses[reply.status] ?? operation.responses.default
    const response =
      listed !== undefined && '$ref' in listed
        ? document.components.responses?.[listed.$ref.replace('#/components/responses/', '')]
        : listed
    assert.ok(response, `${where} is not in openapi.json: ${reply.text}`)
    const documented = new Set(Object.keys(response.headers ?? {}).map((name) => name.toLowerCase()))
    for (const name of reply.status < 400 ? [...read, ...ofAll] : read) {
      if (reply.headers[name] === undefined) continue
      assert.ok(documented.has(name), `${where} has the header ${name}, which openapi.json does not list`)
    }
    const type = String(reply.headers['content-type']).split(';', 1)[0] ?? ''
    if (response.content === undefined) return
    const schema = (response.content[type] ?? response.content['*/*'])?.schema
    assert.ok(schema, `${where} came as ${type}, which openapi.json does not list`)
    if (operation.responses[reply.status] === undefined) requireGeneral(where, document, response, reply)
    const validate = compiled.get(`${where} ${type}`) ?? ajv.compile(absolute(schema))
    compiled.set(`${where} ${type}`, validate)
    assert.ok(
      validate(type.endsWith('json') ? reply.body : reply.text),
      `${where} does not fit its schema: ${ajv.errorsText(validate.errors)}\n${reply.text.slice(0, 5_000)}`,
    )
  }
}

const parametersIn = (template: string): number => template.split('{').length - 1

/** What any call can meet is listed once, but not every refusal is of that kind. */
function requireGeneral(where: string, document: Document, { content }: Response, { status, body }: Reply): void {
  const { examples = {} } = content?.['application/problem+json'] ?? {}
  const isListed = Object.keys(examples).some((code) => document.components.examples[code]?.value.status === status)
  assert.ok(isListed, `${where} ${(body as { readonly code: string }).code} is not in openapi.json`)
}

/** Local references, resolved in the document that has the components. */
function absolute(schema: object): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"openapi.json#/components')) as object
}
