import { isObject } from '../../rendering/pointer.ts'

/** A schema of the subset at GET /answer-schema. The service checked it when the request was made. */
export type Schema = Readonly<Record<string, unknown>>

export const types = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const
export type TypeName = (typeof types)[number]

/** `type` as a list; null when there is none. */
export function typesOf(schema: Schema): readonly TypeName[] | null {
  if (schema.type === undefined) return null
  return (Array.isArray(schema.type) ? schema.type : [schema.type]) as readonly TypeName[]
}

/** The schema behind a local reference, with what stands beside it, which is for people only. */
export function resolved(top: Schema, schema: Schema): Schema {
  if (typeof schema.$ref !== 'string') return schema
  const name = schema.$ref.slice('#/$defs/'.length).replaceAll('~1', '/').replaceAll('~0', '~')
  const found = isObject(top.$defs) && Object.hasOwn(top.$defs, name) ? top.$defs[name] : null
  if (!isObject(found)) return {}
  const { $ref: _, ...beside } = schema
  return { ...resolved(top, found), ...beside }
}

export const canBeNull = (schema: Schema): boolean => typesOf(schema)?.includes('null') === true
