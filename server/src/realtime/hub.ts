/** Who waits in this process for something to happen to a request. Holds no database connection, and nothing of the request. */
export interface Place {
  readonly organizationId: string
  readonly requestId: string
  /** Callers with the same one may wait, or may not, for the same reasons. */
  readonly credential: string
  /** Throws once the caller may not wait any more. */
  readonly allowAgain: () => Promise<void>
  /** The one that was seen last; null: none yet. */
  revision: number | null
  /** Something may have happened since the last `nextChange`. */
  isWoken: boolean
  /** Why the wait is over; null while it is not. */
  over: Over | null
  wake: (() => void) | null
}

/** late: its time is up; stopping: this process ends; gone: nobody is there any more; refused: the caller may not wait any more. */
export type Over =
  | { readonly why: 'late' | 'stopping' | 'gone' }
  | { readonly why: 'refused'; readonly refusal: unknown }

/** A request that somebody waits for, and the earliest revision that any of them saw last. */
export interface Awaited {
  readonly requestId: string
  readonly revision: number | null
}

export type Hub = ReturnType<typeof createHub>

const stopping: Over = { why: 'stopping' }

export function createHub() {
  const byRequest = new Map<string, Set<Place>>()
  const byCredential = new Map<string, Set<Place>>()
  let isStopping = false
  let size = 0

  const add = (to: Map<string, Set<Place>>, key: string, place: Place): void => {
    const places = to.get(key)
    if (places === undefined) to.set(key, new Set([place]))
    else places.add(place)
  }
  const remove = (from: Map<string, Set<Place>>, key: string, place: Place): void => {
    const places = from.get(key)
    places?.delete(place)
    if (places?.size === 0) from.delete(key)
  }
  const wake = (place: Place): void => {
    place.isWoken = true
    place.wake?.()
  }
  const end = (place: Place, over: Over): void => {
    place.over ??= over
    place.wake?.()
  }

  return {
    get size() {
      return size
    },
    /** From now on no change is missed. */
    join: (who: Pick<Place, 'organizationId' | 'requestId' | 'credential' | 'allowAgain'>): Place => {
      const place: Place = { ...who, revision: null, isWoken: false, over: isStopping ? stopping : null, wake: null }
      add(byRequest, place.requestId, place)
      add(byCredential, place.credential, place)
      size += 1
      return place
    },
    leave: (place: Place): void => {
      remove(byRequest, place.requestId, place)
      remove(byCredential, place.credential, place)
      size -= 1
    },
    /** Resolves when something may have happened to the request, or the wait is over. */
    nextChange: async (place: Place): Promise<void> => {
      if (!place.isWoken && place.over === null) {
        await new Promise<void>((resolve) => {
          place.wake = resolve
        })
        place.wake = null
      }
      place.isWoken = false
    },
    end,
    /** Something happened to these requests, or may have. */
    changed: (requestIds: Iterable<string>): void => {
      for (const id of requestIds) for (const place of byRequest.get(id) ?? []) wake(place)
    },
    everythingMayHaveChanged: (): void => {
      for (const places of byRequest.values()) for (const place of places) wake(place)
    },
    /** Which requests somebody waits for, by organization. */
    awaited: (): ReadonlyMap<string, readonly Awaited[]> => {
      const awaited = new Map<string, Awaited[]>()
      for (const [requestId, places] of byRequest) {
        const [place] = places
        if (place === undefined) continue
        const seen = [...places].flatMap(({ revision }) => revision ?? [])
        const one = { requestId, revision: seen.length === 0 ? null : Math.min(...seen) }
        const others = awaited.get(place.organizationId)
        if (others === undefined) awaited.set(place.organizationId, [one])
        else others.push(one)
      }
      return awaited
    },
    /** One for each credential. */
    credentials: (): readonly Place[] => [...byCredential.values()].flatMap(([place]) => (place ? [place] : [])),
    refuse: (credential: string, refusal: unknown): void => {
      for (const place of byCredential.get(credential) ?? []) end(place, { why: 'refused', refusal })
    },
    /** Ends every wait, and each that begins later. */
    stop: (): void => {
      isStopping = true
      for (const places of byRequest.values()) for (const place of places) end(place, stopping)
    },
  }
}
