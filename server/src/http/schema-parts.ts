import { type TSchema, Type } from 'typebox'
import { says } from '../platform/validation.ts'

/** Parts that the wire schemas of all rooms share. */

export const uuid = (description: string) => Type.String({ format: 'uuid', description })
/** RFC 3339, in UTC. */
export const time = (description: string) => Type.String({ format: 'date-time', description })

export const id = uuid('Its id.')
export const createdAt = time('When it was made.')
export const updatedAt = time('When it was last changed.')

export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()])
}

/**
 * A list or map of a body that may be left out. Null says the same: clients made for Java send every list that nobody set,
 * as empty unless it can be null, and an empty one takes away what was set before.
 */
export function optionalList<T extends TSchema>(schema: T & { readonly description?: string }) {
  const description = `${schema.description} null: as if left out.`
  return Type.Optional(nullable<T>({ ...schema, description }))
}

/** U+0000 cannot be stored by PostgreSQL, nor looked for. */
export const noNul = says('^[^\\u0000]*$', 'must have no NUL character')
export const sha256Hex = says('^[0-9a-f]{64}$', 'must be a SHA-256 in 64 hexadecimal digits: 0-9, a-f')

/** A name that is shown in one line: every such member of every body is made here (`isLine` has the rule). */
export function line({ maxLength = 255, description = 'One line.' } = {}) {
  const rule = 'No blank at either end, no control character, line end or direction mark, and something to see.'
  return Type.String({ minLength: 1, maxLength, format: 'single-line', description: `${description} ${rule}` })
}

export const name = line()
