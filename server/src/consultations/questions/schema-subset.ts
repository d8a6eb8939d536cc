import { nearestName } from '../../platform/nearest-name.ts'
import { type Flaw, isObject, type Place } from './json-pointer.ts'
import { type Pattern, readPattern } from './pattern.ts'
import {
  type AnswerSchema,
  behind,
  besideRef,
  inConditions,
  instead,
  isDifferent,
  isScalar,
  isText,
  keywordNames,
  keywords,
  type Schema,
  typesOf,
} from './subset-keywords.ts'
import { checkValue, isOfType } from './value-check.ts'

/**
 * Reads a schema once, when it is asked with: whatever is not of the subset is refused with its place and the reason, and so is
 * what could not be checked in bounded time.
 */

export type SchemaReading = { readonly read: AnswerSchema } | { readonly flaws: readonly Flaw[] }

export const maxSchemaBytes = 65_536
export const maxNesting = 5
export const maxProperties = 200
const maxSchemas = 2_000
/** And their instructions together: compiling takes about 5 µs each. */
const maxPatterns = 50
const maxPatternSize = 5_000
/** More flaws than this help nobody. */
const maxFlaws = 20

type Refuse = (message: string, ...deeper: Place) => void

interface Walk {
  readonly top: Schema
  readonly flaws: Flaw[]
  readonly patterns: Map<string, Pattern>
}

/** `text`: the schema as it was sent. */
export function readSchema(value: unknown, text: string = JSON.stringify(value)): SchemaReading {
  if (!isObject(value)) return { flaws: [{ place: [], message: 'must be a schema: an object' }] }
  if (Buffer.byteLength(text) > maxSchemaBytes) {
    return { flaws: [{ place: [], message: `must have at most ${maxSchemaBytes / 1024} KiB` }] }
  }
  const walk: Walk = { top: value, flaws: [], patterns: new Map() }
  if (value.type !== 'object') walk.flaws.push({ place: ['type'], message: 'must be object at the top of a schema' })
  inspect(walk, value, [], 'top')
  const read: AnswerSchema = { schema: value, patterns: walk.patterns }
  // Bounds in all need references that lead somewhere, and defaults a schema that is right.
  if (walk.flaws.length === 0) walk.flaws.push(...boundFlaws(read))
  if (walk.flaws.length === 0) walk.flaws.push(...defaultFlaws(read))
  return walk.flaws.length > 0 ? { flaws: walk.flaws.slice(0, maxFlaws) } : { read }
}

/** condition: the schema within if, then or else; tested: one for a property there. */
type Position = 'top' | 'plain' | 'condition' | 'tested'

/** Looks at a schema and those in it, not behind references. */
function inspect(walk: Walk, schema: Schema, place: Place, position: Position): void {
  const refuse: Refuse = (message, ...deeper) => void walk.flaws.push({ place: [...place, ...deeper], message })
  const given = Object.keys(schema).filter((name) => isAllowed(schema, name, position, refuse))
  if (walk.flaws.length >= maxFlaws) return
  const described = ['type', 'enum', 'const', 'oneOf', '$ref'].some((name) => Object.hasOwn(schema, name))
  if (!described && (position === 'top' || position === 'plain'))
    refuse('must say what it is: with type, enum, const, oneOf or $ref')
  const has = (name: string): boolean => given.includes(name)
  if (has('$ref') && behind(walk.top, schema.$ref as string) === null) refuse('leads to no schema in $defs', '$ref')
  checkOrder(schema, has, refuse)
  checkChoices(schema, has, refuse)
  checkType(schema, has, position, refuse)
  checkConditions(schema, has, refuse)
  if (has('pattern')) addPattern(walk, schema.pattern as string, refuse)
  for (const [child, where, of] of partsOf(schema, position)) {
    if (walk.flaws.length >= maxFlaws) return
    if (isObject(child)) inspect(walk, child, [...place, ...where], of)
    else if (child !== false || where[0] !== 'items') refuse('must be a schema: an object', ...where)
  }
}

function isAllowed(schema: Schema, name: string, position: Position, refuse: Refuse): boolean {
  const keyword = Object.hasOwn(keywords, name) ? keywords[name] : undefined
  if (keyword === undefined) {
    const better = Object.hasOwn(instead, name) ? instead[name] : undefined
    const near = better === undefined ? nearestName(name, keywordNames) : null
    refuse(
      `is not part of what can be asked with${better ? `: ${better}` : near ? `; did you mean ${near}?` : ''}`,
      name,
    )
  } else if ((name === '$defs' || name === '$schema') && position !== 'top') refuse('can stand only at the top', name)
  else if (name === 'if' && position !== 'top' && position !== 'plain')
    refuse('cannot stand within another if, then or else', name)
  else if (position === 'condition' && !inConditions.includes(name))
    refuse(`cannot stand here: a condition has ${inConditions.join(' and ')} only`, name)
  else if (name !== '$ref' && Object.hasOwn(schema, '$ref') && !besideRef.includes(name))
    refuse('cannot stand beside $ref', name)
  else if (!keyword.isRight(schema[name])) refuse(`must be ${keyword.must}`, name)
  else return true
  return false
}

/** The schemas directly in it, each with its place and position. */
export function partsOf(
  schema: Schema,
  position: Position = 'plain',
): readonly (readonly [child: unknown, place: Place, of: Position])[] {
  const inside = position === 'condition' || position === 'tested' ? 'tested' : 'plain'
  const named = (name: string, of: Position): [unknown, Place, Position][] =>
    isObject(schema[name]) ? Object.entries(schema[name]).map(([key, child]) => [child, [name, key], of]) : []
  const prefix = Array.isArray(schema.prefixItems) ? (schema.prefixItems as unknown[]) : []
  return [
    ...(position === 'top' ? named('$defs', 'plain') : []),
    ...named('properties', inside),
    ...prefix.map((child, at) => [child, ['prefixItems', at], inside] as const),
    ...(Object.hasOwn(schema, 'items') ? ([[schema.items, ['items'], inside]] as const) : []),
    ...['if', 'then', 'else']
      .filter((name) => isObject(schema[name]))
      .map((name) => [schema[name], [name], 'condition'] as const),
  ]
}

const pairs = [
  ['minItems', 'maxItems'],
  ['minLength', 'maxLength'],
  ['minimum', 'maximum'],
  ['minimum', 'exclusiveMaximum'],
  ['exclusiveMinimum', 'maximum'],
  ['exclusiveMinimum', 'exclusiveMaximum'],
] as const

function checkOrder(schema: Schema, has: (name: string) => boolean, refuse: Refuse): void {
  for (const [least, most] of pairs) {
    if (!has(least) || !has(most)) continue
    const [low, high] = [schema[least] as number, schema[most] as number]
    const isStrict = least.startsWith('exclusive') || most.startsWith('exclusive')
    if (low > high || (isStrict && low === high)) refuse(`leaves nothing up to ${most}`, least)
  }
}

/** `oneOf` as labelled choices, and choices that fit their type. */
function checkChoices(schema: Schema, has: (name: string) => boolean, refuse: Refuse): void {
  if (has('oneOf')) {
    const choices = schema.oneOf as readonly unknown[]
    choices.forEach((choice, at) => {
      const { const: value, title, description = '', ...others } = isObject(choice) ? choice : {}
      const isChoice =
        isObject(choice) &&
        Object.hasOwn(choice, 'const') &&
        isScalar(value) &&
        isText(255)(title) &&
        isText(4_000)(description)
      if (!isChoice || Object.keys(others).length > 0) {
        refuse('must be a choice: {const, title}, with a description or without', 'oneOf', at)
      }
    })
    if (!isDifferent(choices.map((choice) => (isObject(choice) ? choice.const : choice))))
      refuse('has a choice twice', 'oneOf')
  }
  const allowed = has('type') ? typesOf(schema.type) : null
  if (allowed === null) return
  const fits = (value: unknown): boolean => allowed.some((type) => isOfType(value, type))
  if (has('const') && !fits(schema.const)) refuse('is not of the type', 'const')
  if (has('enum') && !(schema.enum as unknown[]).every(fits)) refuse('has a value that is not of the type', 'enum')
  if (has('oneOf') && !(schema.oneOf as unknown[]).every((choice) => isObject(choice) && fits(choice.const))) {
    refuse('has a choice that is not of the type', 'oneOf')
  }
}

function checkType(schema: Schema, has: (name: string) => boolean, position: Position, refuse: Refuse): void {
  const allowed = has('type') ? typesOf(schema.type) : null
  const parts = Object.keys(schema).filter(has)
  for (const name of parts) {
    const of = keywords[name]?.of
    // A condition is about the object around it, and what is tested there has its type elsewhere.
    if (of === undefined || position === 'condition' || (allowed === null && position === 'tested')) continue
    if (allowed === null || !of.some((type) => allowed.includes(type))) {
      refuse(`goes only with the type ${of.join(' or ')}`, name)
    }
  }
  if (allowed?.includes('array') && !has('items') && !has('prefixItems'))
    refuse('must say what its items are: with items or prefixItems')
  if (has('items') && schema.items === false && !has('prefixItems'))
    refuse('can be false only behind prefixItems', 'items')
  if (!has('required') || position === 'condition' || position === 'tested') return
  const known = has('properties') ? (schema.properties as Schema) : {}
  for (const name of schema.required as readonly string[]) {
    if (!Object.hasOwn(known, name))
      refuse(`names ${JSON.stringify(name.slice(0, 60))}, which is not among the properties`, 'required')
  }
}

function checkConditions(schema: Schema, has: (name: string) => boolean, refuse: Refuse): void {
  if ((has('then') || has('else')) && !Object.hasOwn(schema, 'if')) refuse('needs an if', has('then') ? 'then' : 'else')
  if (!has('if')) return
  if (!Object.hasOwn(schema, 'then') && !Object.hasOwn(schema, 'else')) refuse('needs a then or an else', 'if')
  const known = isObject(schema.properties) ? schema.properties : {}
  for (const name of ['if', 'then', 'else'].filter(has)) {
    const { properties, required } = schema[name] as Schema
    const named = [
      ...(isObject(properties) ? Object.keys(properties) : []),
      ...(Array.isArray(required) ? required : []),
    ]
    const unknown = named.find((property) => typeof property === 'string' && !Object.hasOwn(known, property))
    if (unknown !== undefined)
      refuse(`names ${JSON.stringify(String(unknown).slice(0, 60))}, which is not among the properties beside it`, name)
  }
}

function addPattern({ patterns, flaws }: Walk, text: string, refuse: Refuse): void {
  if (patterns.has(text)) return
  const spent = [...patterns.values()].reduce((sum, { size }) => sum + size, 0)
  const found =
    flaws.length < maxFlaws && patterns.size < maxPatterns ? readPattern(text) : { refused: 'is one pattern too many' }
  if ('refused' in found) refuse(found.refused, 'pattern')
  else if (spent + found.pattern.size > maxPatternSize) refuse('is one long pattern too many', 'pattern')
  else patterns.set(text, found.pattern)
}

/** How deep the values are nested and how many properties they have at most: behind references, too. */
function boundFlaws({ schema: top }: AnswerSchema): readonly Flaw[] {
  let properties = 0
  let schemas = 0
  const flaws: Flaw[] = []
  const refuse = (place: Place, message: string): boolean => flaws.push({ place, message }) > 0
  /** Returns whether to stop. */
  const measure = (
    schema: Schema,
    place: Place,
    depth: number,
    followed: readonly string[],
    inCondition: boolean,
  ): boolean => {
    schemas += 1
    if (schemas > maxSchemas)
      return refuse([], `must come to at most ${maxSchemas} schemas, those behind references counted each time`)
    if (typeof schema.$ref === 'string') {
      if (followed.includes(schema.$ref)) return refuse([...place, '$ref'], 'leads back to itself')
      const found = behind(top, schema.$ref)
      return found !== null && measure(found, place, depth, [...followed, schema.$ref], inCondition)
    }
    if (inCondition && Object.hasOwn(schema, 'if'))
      return refuse([...place, 'if'], 'cannot stand within another if, then or else')
    const isContainer = typesOf(schema.type)?.some((type) => type === 'object' || type === 'array') === true
    const inner = depth + (isContainer ? 1 : 0)
    if (inner > maxNesting)
      return refuse(place, `is nested too deep: ${maxNesting} objects and lists within one another are the most`)
    return partsOf(schema).some(([child, where, of]) => {
      if (where[0] === 'properties') properties += 1
      if (properties > maxProperties) {
        return refuse([], `must have at most ${maxProperties} properties, those behind references counted each time`)
      }
      return (
        isObject(child) &&
        measure(
          child,
          [...place, ...where],
          of === 'condition' ? depth : inner,
          followed,
          inCondition || of === 'condition',
        )
      )
    })
  }
  if (measure(top, [], 0, [], false)) return flaws
  // A definition that nothing refers to must not recurse either.
  const unused = isObject(top.$defs) ? Object.entries(top.$defs) : []
  unused.some(([name, child]) => isObject(child) && measure(child, ['$defs', name], 1, [`#/$defs/${name}`], false))
  return flaws
}

function defaultFlaws(read: AnswerSchema): readonly Flaw[] {
  const flaws: Flaw[] = []
  const visit = (schema: Schema, place: Place, position: Position): void => {
    if (Object.hasOwn(schema, 'default') && flaws.length < maxFlaws) {
      const [wrong] = checkValue(read, schema.default, schema)
      if (wrong !== undefined)
        flaws.push({ place: [...place, 'default', ...wrong.place], message: `does not fit: it ${wrong.message}` })
    }
    for (const [child, where, of] of partsOf(schema, position))
      if (isObject(child)) visit(child, [...place, ...where], of)
  }
  visit(read.schema, [], 'top')
  return flaws
}
