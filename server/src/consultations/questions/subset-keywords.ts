import { formats } from './formats.ts'
import { isObject } from './json-pointer.ts'
import type { Pattern } from './pattern.ts'

/**
 * The part of JSON Schema 2020-12 that this service can check, in bounded time, and that a form can be drawn from, keyword by
 * keyword: schema-subset.ts reads schemas by it, and meta-schema.ts publishes it.
 */

export type Schema = Readonly<Record<string, unknown>>

/** A schema that was checked, and what it needs to check values. */
export interface AnswerSchema {
  readonly schema: Schema
  readonly patterns: ReadonlyMap<string, Pattern>
}

export const types = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const
export type TypeName = (typeof types)[number]

interface Keyword {
  /** The types it says something about; left out: any. */
  readonly of?: readonly TypeName[]
  readonly isRight: (value: unknown) => boolean
  /** What it must be, as the end of "must be ...". */
  readonly must: string
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
export const isScalar = (value: unknown): boolean =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value)
export const isText = (most: number) => (value: unknown) => typeof value === 'string' && value.length <= most
export const isDifferent = (values: readonly unknown[]): boolean => new Set(values).size === values.length
const isNameList = (value: unknown): boolean =>
  Array.isArray(value) && value.every((name) => typeof name === 'string') && isDifferent(value)
const isScalarList = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.length <= 500 && value.every(isScalar) && isDifferent(value)
const isList = (value: unknown): boolean => Array.isArray(value)

const numeric = ['number', 'integer'] as const
const count = (of: TypeName): Keyword => ({ of: [of], isRight: isCount, must: 'a whole number, 0 or more' })
const limit: Keyword = { of: numeric, isRight: (value) => typeof value === 'number', must: 'a number' }
const flag = (of: TypeName): Keyword => ({
  of: [of],
  isRight: (value) => typeof value === 'boolean',
  must: 'true or false',
})
const text = (most: number): Keyword => ({ isRight: isText(most), must: `text of at most ${most} characters` })

export const keywords: Readonly<Record<string, Keyword>> = {
  $schema: { isRight: (value) => value === dialect, must: 'https://json-schema.org/draft/2020-12/schema' },
  $defs: { isRight: isObject, must: 'an object of schemas' },
  $ref: { isRight: (value) => typeof value === 'string' && value.startsWith('#/$defs/'), must: '#/$defs/ and a name' },
  type: {
    isRight: (value) => typesOf(value) !== null,
    must: `one of ${types.join(', ')}, or a pair of one of them and null`,
  },
  title: text(255),
  description: text(4_000),
  default: { isRight: () => true, must: '' },
  examples: { isRight: (value) => Array.isArray(value) && value.length <= 20, must: 'a list of at most 20' },
  enum: { isRight: isScalarList, must: 'a list of 1 to 500 different texts, numbers, booleans or null' },
  const: { isRight: isScalar, must: 'text, a number, a boolean or null' },
  oneOf: {
    isRight: (value) => Array.isArray(value) && value.length > 0 && value.length <= 500,
    must: 'a list of 1 to 500 choices, each {const, title}',
  },
  properties: { of: ['object'], isRight: isObject, must: 'an object of schemas' },
  required: { of: ['object'], isRight: isNameList, must: 'a list of different names' },
  additionalProperties: flag('object'),
  if: { of: ['object'], isRight: isObject, must: 'a schema' },
  // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
  then: { of: ['object'], isRight: isObject, must: 'a schema' },
  else: { of: ['object'], isRight: isObject, must: 'a schema' },
  items: {
    of: ['array'],
    isRight: (value) => isObject(value) || value === false,
    must: 'a schema, or false behind prefixItems',
  },
  prefixItems: {
    of: ['array'],
    isRight: (value) => isList(value) && (value as unknown[]).length > 0,
    must: 'a list of schemas',
  },
  minItems: count('array'),
  maxItems: count('array'),
  uniqueItems: flag('array'),
  minimum: limit,
  maximum: limit,
  exclusiveMinimum: limit,
  exclusiveMaximum: limit,
  multipleOf: { of: numeric, isRight: (value) => typeof value === 'number' && value > 0, must: 'a number above 0' },
  minLength: count('string'),
  maxLength: count('string'),
  pattern: { of: ['string'], isRight: (value) => typeof value === 'string', must: 'a regular expression' },
  format: {
    of: ['string'],
    isRight: (value) => typeof value === 'string' && Object.hasOwn(formats, value),
    must: `one of ${Object.keys(formats).join(', ')}`,
  },
  'x-order': { isRight: (value) => typeof value === 'number', must: 'a number' },
  'x-multiline': flag('string'),
  'x-placeholder': text(255),
  'x-unit': text(60),
}
export const dialect = 'https://json-schema.org/draft/2020-12/schema'
export const keywordNames: readonly string[] = Object.keys(keywords)
export const keywordsOf = (type: TypeName): readonly string[] =>
  keywordNames.filter((name) => keywords[name]?.of?.includes(type) ?? true)

/** What to write instead of what others use. */
export const instead: Readonly<Record<string, string>> = {
  anyOf: 'for choices use oneOf of {const, title}, for what may be missing a pair of types with null',
  allOf: 'write its parts into one schema',
  not: 'say what is allowed instead',
  patternProperties: 'name the properties',
  propertyNames: 'name the properties',
  unevaluatedProperties: 'use additionalProperties',
  dependentRequired: 'use if, then and required',
  dependentSchemas: 'use if and then',
  definitions: 'use $defs',
  nullable: 'use a pair of types with null',
  contains: 'use items',
  minProperties: 'use required',
  maxProperties: 'use additionalProperties: false',
}

export const inConditions = ['properties', 'required']
export const besideRef = [
  '$ref',
  'title',
  'description',
  'default',
  'examples',
  'x-order',
  'x-multiline',
  'x-placeholder',
  'x-unit',
]

/** `type` as a list; null when it is none of those allowed. */
export function typesOf(value: unknown): readonly TypeName[] | null {
  const names = Array.isArray(value) ? value : [value]
  if (!names.every((name): name is TypeName => (types as readonly unknown[]).includes(name))) return null
  if (!Array.isArray(value)) return names
  return names.length === 2 && names.filter((name) => name === 'null').length === 1 ? names : null
}

/** The schema behind a local reference; null when there is none. */
export function behind(top: Schema, ref: string): Schema | null {
  const name = ref.slice('#/$defs/'.length).replaceAll('~1', '/').replaceAll('~0', '~')
  const found = isObject(top.$defs) && Object.hasOwn(top.$defs, name) ? top.$defs[name] : null
  return isObject(found) ? found : null
}
