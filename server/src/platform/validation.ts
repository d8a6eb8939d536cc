import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'
import type { Static, TSchema } from 'typebox'
import { isId } from './ids.ts'
import { type FieldError, invalidFields, type Problem } from './problem.ts'

// Bodies are typed: "5" is not 5. Paths and queries are always text, so numbers are parsed from it.
const strict = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true, coerceTypes: false })
const textual = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true, coerceTypes: true, useDefaults: true })
addFormats.default(strict)
addFormats.default(textual)
// The library's own format accepts `urn:uuid:`, which PostgreSQL's uuid type does not.
for (const ajv of [strict, textual]) ajv.addFormat('uuid', isId).addKeyword('example').addKeyword('x-order')

/** A 422 that names every wrong field; null when there is none. */
export type Check = (value: unknown) => Problem | null

/** Compiled at its first use: compiling those of all routes takes 110 ms, which is most of a start. */
export function compileCheck(schema: object, part: 'body' | 'text'): Check {
  let validate: ValidateFunction | undefined
  return (value) => {
    validate ??= (part === 'body' ? strict : textual).compile(schema)
    return validate(value) ? null : toProblem(validate.errors ?? [], part)
  }
}

/** For use cases: checks the input of any door; throws the 422. */
export function bodyCheck<S extends TSchema>(schema: S): (body: unknown) => Static<S> {
  const check = compileCheck(schema, 'body')
  return (body) => {
    const problem = check(body)
    if (problem !== null) throw problem
    return body as Static<S>
  }
}

function toProblem(errors: readonly ErrorObject[], part: 'body' | 'text'): Problem {
  // "null would do, too" and "none of the alternatives fits" add nothing to the reason beside them.
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
