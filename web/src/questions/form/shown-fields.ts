import { isObject } from '../../rendering/pointer.ts'
import { resolved, type Schema, typesOf } from '../check/subset.ts'
import { holds } from '../check/value-check.ts'

/** A member of an object that a form asks for. */
export interface ShownField {
  readonly name: string
  readonly schema: Schema
  readonly isRequired: boolean
}

const namesIn = (branch: unknown): ReadonlySet<string> => {
  if (!isObject(branch)) return new Set()
  const { properties, required } = branch
  return new Set([
    ...(isObject(properties) ? Object.keys(properties) : []),
    ...(Array.isArray(required) ? (required as string[]) : []),
  ])
}

/**
 * The members to be shown for a value, in order. What only one branch of a condition speaks of is shown while that branch holds,
 * or while it has a value; what the branch says of it is added to it.
 */
export function shownFields(top: Schema, schema: Schema, value: unknown): readonly ShownField[] {
  const properties = (isObject(schema.properties) ? schema.properties : {}) as Readonly<Record<string, Schema>>
  const isThen = isObject(schema.if) && holds(top, schema.if, value)
  const [now, other] = isThen ? [schema.then, schema.else] : [schema.else, schema.then]
  const conditions = namesIn(schema.if)
  const [named, hidden] = [namesIn(now), namesIn(other)]
  const always = new Set((schema.required ?? []) as readonly string[])
  const required = new Set([
    ...always,
    ...(isObject(now) && Array.isArray(now.required) ? (now.required as string[]) : []),
  ])
  const has = (name: string): boolean => isObject(value) && Object.hasOwn(value, name)
  const branch = isObject(now) && isObject(now.properties) ? now.properties : {}
  return Object.keys(properties)
    .filter((name) => !hidden.has(name) || named.has(name) || always.has(name) || conditions.has(name) || has(name))
    .map((name, at) => {
      const own = resolved(top, properties[name] as Schema)
      const added = isObject(branch[name]) ? resolved(top, branch[name] as Schema) : {}
      return { name, schema: { ...own, ...added }, isRequired: required.has(name), at }
    })
    .toSorted((a, b) => orderOf(a.schema) - orderOf(b.schema) || a.at - b.at)
}

const orderOf = (schema: Schema): number => (typeof schema['x-order'] === 'number' ? schema['x-order'] : 0)

/** What a form begins with: its defaults, and what can have one value only. */
export function initialValue(top: Schema, given: Schema, isRequired = true): unknown {
  const schema = resolved(top, given)
  if (Object.hasOwn(schema, 'default')) return structuredClone(schema.default)
  const types = typesOf(schema)
  if (types?.includes('object')) {
    if (!isRequired && types.includes('null')) return undefined
    const properties = (isObject(schema.properties) ? schema.properties : {}) as Readonly<Record<string, Schema>>
    const required = new Set((schema.required ?? []) as readonly string[])
    const members = Object.entries(properties).flatMap(([name, member]) => {
      const value = initialValue(top, member, required.has(name))
      return value === undefined ? [] : [[name, value] as const]
    })
    return members.length > 0 || isRequired ? Object.fromEntries(members) : undefined
  }
  if (!isRequired) return undefined
  if (Object.hasOwn(schema, 'const')) return schema.const
  if (types?.length === 1 && types[0] === 'null') return null
  if (types?.includes('array')) {
    const prefix = (schema.prefixItems ?? []) as readonly Schema[]
    const least = typeof schema.minItems === 'number' ? schema.minItems : 0
    const entries = Array.from({ length: Math.max(prefix.length, Math.min(least, 50)) }, (_, at) => {
      const of = prefix[at] ?? schema.items
      return isObject(of) ? (initialValue(top, of) ?? null) : null
    })
    return types.includes('null') && entries.length === 0 ? undefined : isChoiceList(top, schema) ? [] : entries
  }
  return undefined
}

/** A list that holds some of a few named values: shown as boxes to tick. */
export function isChoiceList(top: Schema, schema: Schema): boolean {
  const items = isObject(schema.items) && schema.prefixItems === undefined ? resolved(top, schema.items) : null
  return items !== null && schema.uniqueItems === true && (items.enum !== undefined || items.oneOf !== undefined)
}

export interface Choice {
  readonly value: unknown
  readonly label: string | null
  readonly description: string | null
}

/** The values that a schema names, with their labels; null when it names none. */
export function choicesIn(schema: Schema): readonly Choice[] | null {
  if (Array.isArray(schema.oneOf)) {
    return (schema.oneOf as readonly Schema[]).map((choice) => ({
      value: choice.const,
      label: String(choice.title),
      description: typeof choice.description === 'string' ? choice.description : null,
    }))
  }
  if (!Array.isArray(schema.enum)) return null
  return schema.enum.map((value: unknown) => ({
    value,
    label: value === null || typeof value === 'boolean' ? null : String(value),
    description: null,
  }))
}

/** A schema of arguments that have none: the types stay, and lists hold what they held. */
export function schemaOfValue(value: unknown): Schema {
  if (value === null) return { type: 'null' }
  if (typeof value === 'string') {
    return {
      type: 'string',
      minLength: 0,
      ...(value.includes('\n') || value.length > 80 ? { 'x-multiline': true } : {}),
    }
  }
  if (typeof value === 'number' || typeof value === 'boolean') return { type: typeof value }
  if (Array.isArray(value)) {
    const [first] = value
    const isSame = value.every((item) => typeof item === typeof first && Array.isArray(item) === Array.isArray(first))
    if (first === undefined) return { type: 'array', prefixItems: [], items: false }
    if (!isSame || isObject(first)) {
      return { type: 'array', prefixItems: value.map(schemaOfValue), items: schemaOfValue(first) }
    }
    return { type: 'array', items: schemaOfValue(value.toSorted((a, b) => String(b).length - String(a).length)[0]) }
  }
  const members = Object.entries(value as Readonly<Record<string, unknown>>)
  return {
    type: 'object',
    properties: Object.fromEntries(members.map(([name, member]) => [name, schemaOfValue(member)])),
    required: members.map(([name]) => name),
    additionalProperties: false,
  }
}

/** The agent's schema, with what it leaves out of the arguments that there are. */
export function schemaOfArgs(top: Schema, given: Schema, value: unknown): Schema {
  const schema = resolved(top, given)
  if (isObject(value) && typesOf(schema)?.includes('object')) {
    const known = (isObject(schema.properties) ? schema.properties : {}) as Readonly<Record<string, Schema>>
    const members = Object.entries(value).map(([name, member]) => [
      name,
      Object.hasOwn(known, name) ? schemaOfArgs(top, known[name] as Schema, member) : schemaOfValue(member),
    ])
    return { ...schema, properties: { ...known, ...Object.fromEntries(members) } }
  }
  const isLong = typeof value === 'string' && (value.includes('\n') || value.length > 80)
  const isText = isLong && choicesIn(schema) === null && schema.format === undefined
  return { minLength: 0, ...schema, ...(isText ? { 'x-multiline': true } : {}) }
}
