/** Each holds a page in memory, and a connection while it reads one: a few do no harm, many would. */
export const atOnce = 4
/** So that no organization takes all places. */
export const ofOneOrganization = 2

/** Places for what reads much of the audit. Returns a function that frees the place again; null if no place is free. */
export function createPlaces(): (organizationId: string) => (() => void) | null {
  const taken = new Set<{ readonly organizationId: string }>()
  return (organizationId) => {
    const own = [...taken].filter((place) => place.organizationId === organizationId)
    if (taken.size >= atOnce || own.length >= ofOneOrganization) return null
    const place = { organizationId }
    taken.add(place)
    return () => void taken.delete(place)
  }
}
