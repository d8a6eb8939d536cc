import { Ajv, type ErrorObject } from 'ajv'
import addFormats from 'ajv-formats'
import type { FastifySchemaCompiler, FastifyServerOptions } from 'fastify'
import { type FieldError, invalidFields, type Problem } from '../platform/problem.ts'

// Bodies are taken as typed: "5" is not 5 (contract). Paths and queries are text by nature and are read as numbers.
const strict = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true, coerceTypes: false })
const textual = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true, coerceTypes: true, useDefaults: true })
addFormats.default(strict)
addFormats.default(textual)
// The library's own format lets `urn:uuid:` through, which no column takes.
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
for (const ajv of [strict, textual]) ajv.addFormat('uuid', uuid).addKeyword('example').addKeyword('x-order')

const compile: FastifySchemaCompiler<Record<string, unknown>> = ({ schema, httpPart }) => {
  const validate = (httpPart === 'body' ? strict : textual).compile(schema)
  return (data: unknown) => {
    if (validate(data)) return { value: data }
    return { error: toProblem(validate.errors ?? [], httpPart ?? 'body') }
  }
}

/**
 * Validates against TypeBox schemas; every wrong field is named at once, as 422. Given as factories, because a scope that
 * calls addSchema forgets what setValidatorCompiler said and falls back to the framework's coercing compiler.
 */
export const schemaController: NonNullable<FastifyServerOptions['schemaController']> = {
  compilersFactory: {
    buildValidator: () => compile as never,
    // Replies are written by the representations; their schemas are documentation, which the tests hold them to.
    buildSerializer: () => () => (data) => JSON.stringify(data),
  },
}

function toProblem(errors: readonly ErrorObject[], part: string): Problem {
  // "null would do, too" and "none of the alternatives fits" say nothing that the reason beside them does not.
  const telling = errors.filter(({ keyword, params }) => keyword !== 'anyOf' && params.type !== 'null')
  const fields = (telling.length > 0 ? telling : errors)
    .slice(0, 20)
    .map((error): FieldError => ({ path: pathOf(error), message: messageOf(error) }))
  const first = fields[0]
  const where = first === undefined || first.path === '' ? (part === 'body' ? 'The body' : 'The request') : first.path
  const more = fields.length > 1 ? ` (and ${fields.length - 1} more: see errors)` : ''
  return invalidFields(`${where} ${first?.message ?? 'is not valid'}${more}.`, fields)
}

function pathOf(error: ErrorObject): string {
  const parts = error.instancePath.split('/').slice(1)
  const missing = error.keyword === 'required' ? (error.params.missingProperty as string) : null
  return [...parts, ...(missing === null ? [] : [missing])]
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .join('.')
}

function messageOf(error: ErrorObject): string {
  if (error.keyword === 'required') return 'is required'
  if (error.keyword === 'enum') {
    return `must be one of: ${(error.params.allowedValues as readonly unknown[]).join(', ')}`
  }
  if (error.keyword === 'format' && error.params.format === 'uuid') return 'must be a UUID'
  return error.message ?? 'is not valid'
}
