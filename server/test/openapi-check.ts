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
  readonly content?: Readonly<Record<string, { readonly schema: object }>>
}

interface Operation {
  readonly responses: Readonly<Record<string, Response | { readonly $ref: string }>>
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly responses?: Readonly<Record<string, Response>> }
}

/** Checks replies against the OpenAPI document: the status must be listed for the operation, and the body must match its schema. */
export function createReplyChecker(document: Document): (method: string, path: string, reply: Reply) => void {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema({ $id: 'openapi.json', components: document.components })
  const compiled = new Map<string, ValidateFunction>()
  const operations = Object.entries(document.paths).map(([template, methods]) => ({
    pattern: new RegExp(`^${template.replace(/\{[^}]+\}/g, '[^/]+')}/?$`),
    template,
    methods,
  }))

  return (method, path, reply) => {
    const bare = path.split('?', 1)[0] ?? path
    const fitting = operations.find(({ pattern }) => pattern.test(bare))
    const operation = fitting?.methods[method.toLowerCase()]
    if (fitting === undefined || operation === undefined) return
    const where = `${method} ${fitting.template} ${reply.status}`
    const listed = operation.responses[reply.status]
    const response =
      listed !== undefined && '$ref' in listed
        ? document.components.responses?.[listed.$ref.replace('#/components/responses/', '')]
        : listed
    assert.ok(response, `${where} is not in openapi.json: ${reply.text}`)
    const type = String(reply.headers['content-type']).split(';', 1)[0] ?? ''
    if (response.content === undefined) return
    const schema = response.content[type]?.schema
    assert.ok(schema, `${where} came as ${type}, which openapi.json does not list`)
    const validate = compiled.get(`${where} ${type}`) ?? ajv.compile(absolute(schema))
    compiled.set(`${where} ${type}`, validate)
    assert.ok(
      validate(type.endsWith('json') ? reply.body : reply.text),
      `${where} does not fit its schema: ${ajv.errorsText(validate.errors)}\n${reply.text.slice(0, 5_000)}`,
    )
  }
}

/** Local references, resolved in the document that has the components. */
function absolute(schema: object): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"openapi.json#/components')) as object
}
