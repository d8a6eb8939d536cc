/** JSON Pointers (RFC 6901), and the values they lead to. */
export type Place = readonly (string | number)[]

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const pointerOf = (place: Place): string =>
  place.map((name) => `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

/** `null` for what is no pointer. */
export function placeOf(pointer: string): readonly string[] | null {
  if (pointer !== '' && !/^(?:\/(?:[^~/]|~[01])*)+$/.test(pointer)) return null
  return pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** `undefined` where there is nothing. */
export function valueAt(value: unknown, place: Place): unknown {
  let found = value
  for (const name of place) {
    if (Array.isArray(found)) found = /^(?:0|[1-9]\d*)$/.test(String(name)) ? found[Number(name)] : undefined
    else if (isObject(found) && Object.hasOwn(found, name)) found = found[name]
    else return undefined
  }
  return found
}
