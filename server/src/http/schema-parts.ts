import { type TSchema, Type } from 'typebox'

/** Parts that the wire schemas of all rooms share. */

export const id = Type.String({ format: 'uuid' })
export const time = Type.String({ format: 'date-time' })

export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()])
}

/** U+0000 cannot be stored by PostgreSQL, nor looked for. */
export const noNul = '^[^\\u0000]*$'

/** A name with at least one visible character. */
export const name = Type.String({ minLength: 1, maxLength: 255, pattern: '^(?=[^\\u0000]*\\S)[^\\u0000]*$' })
