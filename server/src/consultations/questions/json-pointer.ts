/** JSON Pointers (RFC 6901) and the paths that errors of this service have. */

export type Place = readonly (string | number)[]

export function pointerOf(place: Place): string {
  return place.map((name) => `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** `null` for what is no pointer. */
export function placeOf(pointer: string): readonly string[] | null {
  if (pointer !== '' && !/^(?:\/(?:[^~/]|~[01])*)+$/.test(pointer)) return null
  return pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** A wrong place in a value; `message` goes on from its name. */
export interface Flaw {
  readonly place: Place
  readonly message: string
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
