import { isObject } from '../../rendering/pointer.ts'
import { type Flaw, flaw } from './words.ts'

type Place = Flaw['place']
const maxFlaws = 20

/**
 * Where edited arguments have another type than the agent gave, as the service has it. `hasSchema`: the agent's schema says which
 * members there may be, and where null may stand; without one, the members stay the same, and lists hold what they held.
 */
export function typeFlaws(proposed: unknown, edited: unknown, hasSchema: boolean): readonly Flaw[] {
  const flaws: Flaw[] = []
  compare(proposed, edited, [], hasSchema, flaws)
  return flaws.slice(0, maxFlaws)
}

const typeOf = (value: unknown) =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'array'
      : (typeof value as 'string' | 'number' | 'boolean' | 'object')

function compare(proposed: unknown, edited: unknown, place: Place, hasSchema: boolean, flaws: Flaw[]): void {
  if (flaws.length >= maxFlaws) return
  const type = typeOf(proposed)
  if (typeOf(edited) !== type) {
    if (!hasSchema || (proposed !== null && edited !== null)) flaws.push({ place, message: flaw(`flaw.stay.${type}`) })
    return
  }
  if (Array.isArray(proposed) && Array.isArray(edited)) {
    edited.forEach((entry, at) => {
      const like = at < proposed.length ? proposed[at] : proposed[0]
      if (at < proposed.length || !hasSchema) {
        if (like === undefined) flaws.push({ place: [...place, at], message: flaw('flaw.not_added') })
        else compare(like, entry, [...place, at], hasSchema, flaws)
      }
    })
  } else if (isObject(proposed) && isObject(edited)) {
    for (const name of Object.keys(proposed)) {
      if (Object.hasOwn(edited, name)) compare(proposed[name], edited[name], [...place, name], hasSchema, flaws)
      else if (!hasSchema) flaws.push({ place: [...place, name], message: flaw('flaw.required') })
    }
    if (hasSchema) return
    for (const name of Object.keys(edited)) {
      if (!Object.hasOwn(proposed, name)) flaws.push({ place: [...place, name], message: flaw('flaw.not_added') })
    }
  }
}
