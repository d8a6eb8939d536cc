import { isObject } from '../../rendering/pointer.ts'
import { formatFlaw, isOfFormat } from './formats.ts'
import { matches, maxPatternWork, patternOf, patternWork } from './pattern.ts'
import { resolved, type Schema, type TypeName, typesOf } from './subset.ts'
import { type Flaw, type FlawWord, flaw } from './words.ts'

/**
 * Checks a value against a schema as the service does, so that a person learns of a mistake before sending it. An interpreter,
 * because a compiler of schemas needs `unsafe-eval`. The service's corpus of schemas and answers holds the two together
 * (web/test/questions/value-check.test.ts).
 */

type Place = Flaw['place']

const maxFlaws = 20

interface Check {
  readonly top: Schema
  readonly flaws: Flaw[]
  /** Conditions have flaws of their own, and share this. */
  readonly spent: { patternWork: number }
}

export function checkValue(top: Schema, value: unknown, schema: Schema = top): readonly Flaw[] {
  const check: Check = { top, flaws: [], spent: { patternWork: 0 } }
  visit(check, schema, value, [])
  if (check.spent.patternWork > maxPatternWork) return [{ place: [], message: flaw('flaw.too_much') }]
  return check.flaws
}

/** Whether a condition of an object holds. */
export const holds = (top: Schema, condition: unknown, value: unknown): boolean =>
  isObject(condition) && checkValue(top, value, condition).length === 0

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

type Wrong = (message: string, ...deeper: Place) => void

function visit(check: Check, given: Schema, value: unknown, place: Place): void {
  if (check.flaws.length >= maxFlaws) return
  const schema = resolved(check.top, given)
  const wrong: Wrong = (message, ...deeper) => {
    if (check.flaws.length < maxFlaws) check.flaws.push({ place: [...place, ...deeper], message })
  }
  const allowed = typesOf(schema)
  if (allowed !== null && !allowed.some((type) => isOfType(value, type))) {
    wrong(flaw(`flaw.type.${allowed.find((type) => type !== 'null') ?? 'null'}`))
    return
  }
  const offered = choicesOf(schema)
  if (offered !== null && !offered.has(value)) wrong(flaw('flaw.choice'))
  if (typeof value === 'string') checkText(check, schema, value, wrong)
  else if (typeof value === 'number') checkNumber(schema, value, wrong)
  else if (Array.isArray(value)) checkItems(check, schema, value, place, wrong)
  else if (isObject(value)) checkMembers(check, schema, value, place, wrong)
}

const choices = new WeakMap<Schema, ReadonlySet<unknown>>()

/** The values that it leaves, where it names them. */
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

function checkText(check: Check, { minLength, maxLength, format, pattern }: Schema, text: string, wrong: Wrong): void {
  if (minLength !== undefined || maxLength !== undefined) {
    const length = [...text].length
    const [least, most] = [minLength as number, maxLength as number]
    if (length < least) wrong(least === 1 ? flaw('flaw.empty') : flaw('flaw.shorter', { count: least }))
    if (length > most) wrong(flaw('flaw.longer', { count: most }))
  }
  if (typeof format === 'string' && !isOfFormat(text, format)) wrong(formatFlaw(format))
  const compiled = typeof pattern === 'string' ? patternOf(pattern) : null
  if (compiled === null) return
  check.spent.patternWork += patternWork(compiled, text)
  if (check.spent.patternWork > maxPatternWork) wrong(flaw('flaw.too_much'))
  else if (!matches(compiled, text)) wrong(flaw('flaw.pattern', { pattern: String(pattern) }))
}

const bounds = [
  ['minimum', 'flaw.minimum', (value: number, bound: number) => value >= bound],
  ['maximum', 'flaw.maximum', (value: number, bound: number) => value <= bound],
  ['exclusiveMinimum', 'flaw.above', (value: number, bound: number) => value > bound],
  ['exclusiveMaximum', 'flaw.below', (value: number, bound: number) => value < bound],
  ['multipleOf', 'flaw.multiple', isMultiple],
] as const satisfies readonly (readonly [string, FlawWord, (value: number, bound: number) => boolean])[]

function checkNumber(schema: Schema, value: number, wrong: Wrong): void {
  for (const [name, word, isRight] of bounds) {
    const bound = schema[name]
    if (typeof bound === 'number' && !isRight(value, bound)) wrong(flaw(word, { bound: String(bound) }))
  }
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
  if (list.length < least) wrong(least === 1 ? flaw('flaw.empty') : flaw('flaw.fewer', { count: least }))
  const most =
    items === false ? Math.min(prefix.length, (maxItems ?? Number.MAX_SAFE_INTEGER) as number) : (maxItems as number)
  if (list.length > most) {
    wrong(flaw('flaw.more', { count: most }))
    return
  }
  list.forEach((item, at) => {
    const of = prefix[at] ?? items
    if (isObject(of)) visit(check, of, item, [...place, at])
  })
  if (uniqueItems === true && new Set(list.map(ordered)).size < list.length) wrong(flaw('flaw.twice'))
}

/** The same text for the same value, whatever the order of its members. */
const ordered = (value: unknown): string =>
  JSON.stringify(value, (_, part) =>
    isObject(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
  )

function checkMembers(
  check: Check,
  schema: Schema,
  value: Readonly<Record<string, unknown>>,
  place: Place,
  wrong: Wrong,
): void {
  const properties = (schema.properties ?? {}) as Readonly<Record<string, Schema>>
  for (const name of (schema.required ?? []) as readonly string[]) {
    if (!Object.hasOwn(value, name)) wrong(flaw('flaw.required'), name)
  }
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(properties, name)) visit(check, properties[name] as Schema, value[name], [...place, name])
    else if (schema.additionalProperties === false) wrong(flaw('flaw.not_asked'), name)
  }
  if (!isObject(schema.if)) return
  const condition: Check = { ...check, flaws: [] }
  visit(condition, schema.if, value, place)
  const next = condition.flaws.length === 0 ? schema.then : schema.else
  if (isObject(next)) visit(check, next, value, place)
}
