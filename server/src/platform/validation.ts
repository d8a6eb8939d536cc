import { Ajv, type AnySchemaObject, type ErrorObject, type ValidateFunction } from 'ajv'
import type { DataValidateFunction } from 'ajv/dist/types/index.js'
import addFormats from 'ajv-formats'
import type { Static, TSchema } from 'typebox'
import { isId } from './ids.ts'
import { nearestName } from './nearest-name.ts'
import { type FieldError, invalidAll, type Problem } from './problem.ts'
import { isLine, lineRule } from './visible-text.ts'

// Bodies are typed: "5" is not 5. Paths and queries are always text, so numbers are parsed from it.
const strict = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true, coerceTypes: false })
const textual = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true, coerceTypes: true, useDefaults: true })
addFormats.default(strict)
addFormats.default(textual)
const wordings = new Map<string, string>()

/** A pattern for a schema, with what a refusal says of a value that does not fit. */
export function says(pattern: string, words: string): string {
  wordings.set(pattern, words)
  return pattern
}

/** More errors than this help nobody. */
const maxNamed = 20
// The library's own format accepts `urn:uuid:`, which PostgreSQL's uuid type does not.
for (const ajv of [strict, textual]) {
  ajv.addFormat('uuid', isId).addFormat('single-line', isLine).addKeyword('example').addKeyword('x-order')
  ajv.addKeyword({ keyword: 'isClosed', type: 'object', schemaType: 'boolean', compile: refuseUnknown })
}

/** A 422 that names every wrong field; null when there is none. */
export type Check = (value: unknown) => Problem | null

/**
 * `headers` may hold more than the schema says; a body, and the text of a path or a query, may not. Compiled at its first use:
 * compiling those of all routes takes 110 ms, which is most of a start.
 */
export function compileCheck(schema: object, part: 'body' | 'text' | 'headers'): Check {
  let validate: ValidateFunction | undefined
  return (value) => {
    validate ??= (part === 'body' ? strict : textual).compile(part === 'headers' ? schema : stopping(schema))
    return validate(value) ? null : toProblem(validate.errors ?? [], part)
  }
}

interface SchemaParts {
  readonly type?: string
  readonly properties?: Readonly<Record<string, object>>
  readonly patternProperties?: Readonly<Record<string, object>>
  readonly additionalProperties?: unknown
  readonly items?: object
  readonly anyOf?: readonly object[]
}

/**
 * The schema with all its objects closed: a misspelt guard must not be dropped. Open are only those that say
 * `additionalProperties: true`, which are described as free-form.
 */
export function closed<S extends object>(schema: S): S {
  return mapParts(schema, (part) => (isToBeClosed(part) ? { ...part, additionalProperties: false } : part))
}

/**
 * The same for the library, which goes on to the last of a million members or elements after it has found that there are too
 * many: how many there are is checked first, and what they are only after that.
 */
function stopping<S extends object>(schema: S): S {
  return mapParts(schema, (part) => {
    const { type, maxItems, items, uniqueItems, maxProperties, patternProperties, ...others } = part
    if (type === 'array') {
      return {
        type,
        ...others,
        maxItems,
        if: { minItems: maxItems + 1 },
        else: { type, items, ...(uniqueItems && { uniqueItems }) },
      }
    }
    const isClosed = isToBeClosed(part) && { isClosed: true }
    // A query has names as well as patterns; the headers' limit bounds how many.
    if (patternProperties === undefined || part.properties !== undefined) return { ...part, ...isClosed }
    return {
      type,
      maxProperties,
      if: { minProperties: maxProperties + 1 },
      else: { type, ...isClosed, patternProperties },
    }
  })
}

const isToBeClosed = ({ type, additionalProperties }: AnySchemaObject): boolean =>
  type === 'object' && additionalProperties === undefined

/** The schema, changed from the inside out. */
function mapParts<S extends object>(schema: S, change: (part: AnySchemaObject) => object): S {
  const { properties, patternProperties, items, anyOf } = schema as SchemaParts
  const inner = (part: object): object => mapParts(part, change)
  return change({
    ...schema,
    ...(properties && { properties: mapValues(properties, inner) }),
    ...(patternProperties && { patternProperties: mapValues(patternProperties, inner) }),
    ...(items && { items: inner(items) }),
    ...(anyOf && { anyOf: anyOf.map(inner) }),
  }) as S
}

function mapValues<T>(given: Readonly<Record<string, T>>, change: (value: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, change(value)]))
}

function refuseUnknown(_isClosed: boolean, schema: AnySchemaObject): DataValidateFunction {
  const { properties = {}, patternProperties = {} } = schema as SchemaParts
  const known = Object.keys(properties)
  const patterns = Object.keys(patternProperties).map((pattern) => new RegExp(pattern, 'u'))
  const isKnown = (name: string) => Object.hasOwn(properties, name) || patterns.some((pattern) => pattern.test(name))
  const check: DataValidateFunction = (value: object) => {
    const unknown: string[] = []
    for (const name in value) {
      if (isKnown(name)) continue
      if (unknown.push(name) === maxNamed) break
    }
    check.errors = unknown.map((name) => {
      const nearest = nearestName(name, known)
      const said = patterns.length > 0 && known.length === 0 ? 'is not a possible name here' : 'is not known here'
      return {
        keyword: 'isClosed',
        params: { unknown: shortened(name) },
        message: nearest === null ? said : `${said}; did you mean ${nearest}?`,
      }
    })
    return unknown.length === 0
  }
  return check
}

const shortened = (name: string): string => (name.length > 80 ? `${name.slice(0, 80).toWellFormed()}…` : name)

/** What is left of a value that fits the schema without what that leaves to the caller. */
export function withoutFree(schema: object, value: unknown): unknown {
  const { type, anyOf, properties = {}, additionalProperties } = schema as SchemaParts
  if (typeof value !== 'object' || value === null) return value
  if (anyOf !== undefined) return anyOf.reduce((left: unknown, part) => withoutFree(part, left), value)
  if (type !== 'object') return value
  const kept = Object.entries(value).filter(
    ([name]) => additionalProperties !== true || Object.hasOwn(properties, name),
  )
  return Object.fromEntries(kept.map(([name, member]) => [name, withoutFree(properties[name] ?? {}, member)]))
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

function toProblem(errors: readonly ErrorObject[], part: 'body' | 'text' | 'headers'): Problem {
  // "null would do, too" and "none of the alternatives fits" add nothing to the reason beside them.
  const telling = errors.filter(({ keyword, params }) => !['anyOf', 'if'].includes(keyword) && params.type !== 'null')
  const fields = (telling.length > 0 ? telling : errors)
    // First the unknown names: a misspelt one is also why another is missing.
    .toSorted((a, b) => Number('unknown' in b.params) - Number('unknown' in a.params))
    .slice(0, maxNamed)
    .map((error): FieldError => ({ path: pathOf(error), message: messageOf(error) }))
  return invalidAll(fields, part === 'body' ? 'The body' : 'The request')
}

function pathOf({ instancePath, params }: ErrorObject): string {
  const parts = instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  const named = (params.missingProperty ?? params.unknown) as string | undefined
  return [...parts, ...(named === undefined ? [] : [named])].join('.')
}

/** What the library says beside the keyword: for each some of these. */
interface Params {
  readonly limit: number
  readonly type: string | readonly string[]
  readonly format: string
  readonly pattern: string
  readonly allowedValue: unknown
  readonly allowedValues: readonly unknown[]
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
}
const formats: Readonly<Record<string, string>> = {
  uuid: 'must be a UUID',
  'single-line': lineRule,
  'date-time': 'must be a time with an offset, such as 2026-01-31T09:00:00Z',
}
const amount = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`
const characters = (count: number): string => amount(count, 'character', 'characters')
const entries = (count: number): string => amount(count, 'entry', 'entries')
const members = (count: number): string => amount(count, 'member', 'members')
const least = (limit: number, of: (count: number) => string): string =>
  limit === 1 ? 'must not be empty' : `must have at least ${of(limit)}`

/** For each keyword of the schemas what it asks for, in words that go on from the name of the member. */
const messages: Readonly<Record<string, (params: Params) => string>> = {
  required: () => 'is required',
  enum: ({ allowedValues }) => `must be one of: ${allowedValues.join(', ')}`,
  const: ({ allowedValue }) => `must be ${allowedValue}`,
  type: ({ type }) =>
    `must be ${[type]
      .flat()
      .map((name) => kinds[name] ?? name)
      .join(' or ')}`,
  format: ({ format }) => formats[format] ?? 'is not spelled as it should be',
  pattern: ({ pattern }) => wordings.get(pattern) ?? 'is not spelled as it should be',
  minLength: ({ limit }) => least(limit, characters),
  maxLength: ({ limit }) => `must have at most ${characters(limit)}`,
  minItems: ({ limit }) => least(limit, entries),
  maxItems: ({ limit }) => `must have at most ${entries(limit)}`,
  uniqueItems: () => 'has an entry twice: send it once',
  minProperties: ({ limit }) => least(limit, members),
  maxProperties: ({ limit }) => `must have at most ${members(limit)}`,
  minimum: ({ limit }) => `must be ${limit} or more`,
  maximum: ({ limit }) => `must be ${limit} or less`,
}

function messageOf({ keyword, params, message = 'is not valid' }: ErrorObject): string {
  if (keyword === 'isClosed') return message
  return messages[keyword]?.(params as Params) ?? 'is not valid'
}
