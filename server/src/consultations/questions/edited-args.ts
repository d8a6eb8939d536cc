import { type Flaw, isObject, type Place } from './json-pointer.ts'

/** What of an action's arguments a reviewer may change: values, not what kind of values they are. */

/** More flaws than this help nobody. */
const maxFlaws = 20

/**
 * Where edited arguments have another type than the agent gave. `hasSchema`: its schema says which members there may be, and
 * where null may stand; without one, the members stay the same, and lists hold what they held.
 */
export function typeFlaws(proposed: unknown, edited: unknown, hasSchema: boolean): readonly Flaw[] {
  const flaws: Flaw[] = []
  compare(proposed, edited, [], hasSchema, flaws)
  return flaws
}

const typeOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)
const words: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
}

function compare(proposed: unknown, edited: unknown, place: Place, hasSchema: boolean, flaws: Flaw[]): void {
  if (flaws.length >= maxFlaws) return
  const type = typeOf(proposed)
  if (typeOf(edited) !== type) {
    if (!hasSchema || (proposed !== null && edited !== null)) {
      flaws.push({ place, message: `must stay ${words[type]}` })
    }
    return
  }
  if (Array.isArray(proposed) && Array.isArray(edited)) {
    compareLists(proposed, edited, place, hasSchema, flaws)
  } else if (isObject(proposed) && isObject(edited)) {
    for (const name of Object.keys(proposed)) {
      if (Object.hasOwn(edited, name)) compare(proposed[name], edited[name], [...place, name], hasSchema, flaws)
      else if (!hasSchema) flaws.push({ place: [...place, name], message: 'must stay: it was proposed' })
    }
    if (hasSchema) return
    for (const name of Object.keys(edited)) {
      if (flaws.length >= maxFlaws) return
      if (!Object.hasOwn(proposed, name))
        flaws.push({ place: [...place, name], message: 'must not be added: it was not proposed' })
    }
  }
}

function compareLists(
  proposed: readonly unknown[],
  edited: readonly unknown[],
  place: Place,
  hasSchema: boolean,
  flaws: Flaw[],
): void {
  const first = proposed[0]
  edited.forEach((entry, at) => {
    if (at < proposed.length) compare(proposed[at], entry, [...place, at], hasSchema, flaws)
    else if (!hasSchema && first === undefined)
      flaws.push({ place: [...place, at], message: 'must not be added: the list is empty' })
    else if (!hasSchema) compare(first, entry, [...place, at], hasSchema, flaws)
  })
}
