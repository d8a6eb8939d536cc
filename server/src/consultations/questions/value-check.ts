import canonicalize from 'canonicalize'
import { formats, formatWords } from './formats.ts'
import { type Flaw, isObject, type Place } from './json-pointer.ts'
import { matches, maxPatternWork, patternWork } from './pattern.ts'
import { type AnswerSchema, behind, type Schema, type TypeName, typesOf } from './subset-keywords.ts'

/** Checks a value against a schema that was read before: by walking both, because compiling one for each request would be slow. */

/** More flaws than this help nobody. */
const maxFlaws = 20

interface Check {
  readonly by: AnswerSchema
  readonly flaws: Flaw[]
  /** Conditions have flaws of their own, and share this. */
  readonly spent: { patternWork: number }
}

const tooMuch = 'is too long to be checked with its patterns: shorten it'

/** What is wrong with it, in the order of the value; `schema`: a part of the one that was read. */
export function checkValue(by: AnswerSchema, value: unknown, schema: Schema = by.schema): readonly Flaw[] {
  const check: Check = { by, flaws: [], spent: { patternWork: 0 } }
  visit(check, schema, value, [])
  if (check.spent.patternWork > maxPatternWork) return [{ place: [], message: tooMuch }]
  return check.flaws
}

export function isOfType(value: unknown, type: TypeName): boolean {
  switch (type) {
    case 'object':
      return isObject(value)
    case 'array':
      return Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    case 'null':
      return value === null
    default:
      return typeof value === type
  }
}

const kinds: Readonly<Record<TypeName, string>> = {
  object: 'an object',
  array: 'a list',
  string: 'text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  null: 'null',
}

function visit(check: Check, schema: Schema, value: unknown, place: Place): void {
  if (check.flaws.length >= maxFlaws) return
  if (typeof schema.$ref === 'string') {
    const found = behind(check.by.schema, schema.$ref)
    if (found !== null) visit(check, found, value, place)
    return
  }
  const wrong = (message: string, ...deeper: Place): void => {
    if (check.flaws.length < maxFlaws) check.flaws.push({ place: [...place, ...deeper], message })
  }
  const allowed = schema.type === undefined ? null : typesOf(schema.type)
  if (allowed !== null && !allowed.some((type) => isOfType(value, type))) {
    wrong(`must be ${allowed.map((type) => kinds[type]).join(' or ')}`)
    return
  }
  const offered = choicesOf(schema)
  if (offered !== null && !offered.has(value)) {
    const named = [...offered].slice(0, 30).map(shown)
    wrong(named.length === 1 ? `must be ${named[0]}` : `must be one of: ${named.join(', ')}`)
  }
  if (typeof value === 'string') checkText(check, schema, value, wrong)
  else if (typeof value === 'number') checkNumber(schema, value, wrong)
  else if (Array.isArray(value)) checkItems(check, schema, value, place, wrong)
  else if (isObject(value)) checkMembers(check, schema, value, place, wrong)
}

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

const choices = new WeakMap<Schema, ReadonlySet<unknown>>()

/** The values that it leaves, where it names them: a list may have thousands of entries that each have these. */
function choicesOf(schema: Schema): ReadonlySet<unknown> | null {
  const { const: only, enum: several, oneOf } = schema
  if (only === undefined && several === undefined && oneOf === undefined) return null
  const known = choices.get(schema)
  if (known !== undefined) return known
  const lists = [
    ...(only === undefined ? [] : [new Set([only])]),
    ...(several === undefined ? [] : [new Set(several as readonly unknown[])]),
    ...(oneOf === undefined ? [] : [new Set((oneOf as readonly Schema[]).map((choice) => choice.const))]),
  ]
  const left = new Set([...(lists[0] ?? [])].filter((value) => lists.every((list) => list.has(value))))
  choices.set(schema, left)
  return left
}

type Wrong = (message: string, ...deeper: Place) => void

const amount = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`

function checkText(check: Check, { minLength, maxLength, format, pattern }: Schema, text: string, wrong: Wrong): void {
  if (minLength !== undefined || maxLength !== undefined) {
    const length = codePoints(text)
    const least = minLength as number
    if (length < least)
      wrong(least === 1 ? 'must not be empty' : `must have at least ${amount(least, 'character', 'characters')}`)
    if (length > (maxLength as number))
      wrong(`must have at most ${amount(maxLength as number, 'character', 'characters')}`)
  }
  if (typeof format === 'string' && formats[format]?.(text) === false) wrong(`must be ${formatWords[format]}`)
  const compiled = typeof pattern === 'string' ? check.by.patterns.get(pattern) : undefined
  if (compiled === undefined) return
  check.spent.patternWork += patternWork(compiled, text)
  if (check.spent.patternWork > maxPatternWork) wrong(tooMuch)
  else if (!matches(compiled, text)) wrong(`must match the pattern ${pattern}`)
}

function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

function checkNumber(schema: Schema, value: number, wrong: Wrong): void {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema as Readonly<
    Record<string, number>
  >
  if (minimum !== undefined && value < minimum) wrong(`must be ${minimum} or more`)
  if (maximum !== undefined && value > maximum) wrong(`must be ${maximum} or less`)
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) wrong(`must be more than ${exclusiveMinimum}`)
  if (exclusiveMaximum !== undefined && value >= exclusiveMaximum) wrong(`must be less than ${exclusiveMaximum}`)
  if (multipleOf !== undefined && !isMultiple(value, multipleOf)) wrong(`must be a multiple of ${multipleOf}`)
}

/** As decimals, which is what people and agents write: 0.07 is a multiple of 0.01, although no double is 0.01. */
function isMultiple(value: number, of: number): boolean {
  const [a, b] = [decimal(value), decimal(of)]
  const exponent = Math.min(a.exponent, b.exponent)
  return (a.digits * 10n ** BigInt(a.exponent - exponent)) % (b.digits * 10n ** BigInt(b.exponent - exponent)) === 0n
}

function decimal(value: number): { readonly digits: bigint; readonly exponent: number } {
  const [mantissa = '', exponent = '0'] = value.toExponential().split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length }
}

function checkItems(check: Check, schema: Schema, list: readonly unknown[], place: Place, wrong: Wrong): void {
  const { minItems, maxItems, uniqueItems, items } = schema
  const prefix = (schema.prefixItems ?? []) as readonly Schema[]
  const least = minItems as number
  if (list.length < least)
    wrong(least === 1 ? 'must not be empty' : `must have at least ${amount(least, 'entry', 'entries')}`)
  const most =
    items === false ? Math.min(prefix.length, (maxItems ?? Number.MAX_SAFE_INTEGER) as number) : (maxItems as number)
  // Looking at a million entries too many would help nobody.
  if (list.length > most) {
    wrong(`must have at most ${amount(most, 'entry', 'entries')}`)
    return
  }
  for (let at = 0; at < list.length && check.flaws.length < maxFlaws; at += 1) {
    const of = prefix[at] ?? items
    if (isObject(of)) visit(check, of, list[at], [...place, at])
  }
  if (uniqueItems === true && new Set(list.map((item) => canonicalize(item))).size < list.length) {
    wrong('has an entry twice: send it once')
  }
}

function checkMembers(
  check: Check,
  schema: Schema,
  value: Readonly<Record<string, unknown>>,
  place: Place,
  wrong: Wrong,
): void {
  const properties = (schema.properties ?? {}) as Readonly<Record<string, Schema>>
  for (const name of (schema.required ?? []) as readonly string[]) {
    if (!Object.hasOwn(value, name)) wrong('is required', name)
  }
  for (const name of Object.keys(value)) {
    if (check.flaws.length >= maxFlaws) return
    if (Object.hasOwn(properties, name)) visit(check, properties[name] as Schema, value[name], [...place, name])
    else if (schema.additionalProperties === false) wrong('is not asked for: leave it out', name)
  }
  if (!isObject(schema.if)) return
  const condition: Check = { ...check, flaws: [] }
  visit(condition, schema.if, value, place)
  const next = condition.flaws.length === 0 ? schema.then : schema.else
  if (isObject(next)) visit(check, next, value, place)
}
