import type { Message } from './messages.ts'

/** Somebody who looks at a request. */
export interface Looking {
  readonly userId: string
  readonly name: string | null
}

/** A page says every 20 s that somebody still looks; one that is closed or loses its connection does not say so. */
export const presenceMs = 45_000
/** Each person looks at one request at a time; more people than this in one organization are not kept. */
const mostLooking = 1_000

interface Look extends Looking {
  readonly requestId: string
  readonly untilMs: number
}

/** The requests whose people changed. */
export type Touched = ReadonlySet<string>

const none: Touched = new Set()

/**
 * Who looks at which request, as far as this process has heard: from its own calls, and from hints of others. It is kept in
 * memory alone: what is lost is said again within 20 s, and nothing depends on it but a line in the inbox.
 */
export function createPresence(now: () => number = Date.now) {
  /** By organization, and by person. */
  const organizations = new Map<string, Map<string, Look>>()

  const messageOf = (requestId: string, looks: readonly Look[]): Message => {
    const people = looks.map(({ userId: id, name }) => ({ id, name }))
    return { id: null, event: 'presence', data: JSON.stringify({ request_id: requestId, people }) }
  }

  return {
    /** `requestId`: null when they look at none any more. */
    look: (organizationId: string, { userId, name }: Looking, requestId: string | null): Touched => {
      const looks = organizations.get(organizationId) ?? new Map<string, Look>()
      const before = looks.get(userId)
      if (before === undefined && (requestId === null || looks.size >= mostLooking)) return none
      organizations.set(organizationId, looks)
      if (requestId === null) looks.delete(userId)
      else looks.set(userId, { userId, name, requestId, untilMs: now() + presenceMs })
      if (looks.size === 0) organizations.delete(organizationId)
      if (before?.requestId === requestId) return none
      return new Set([before?.requestId, requestId].filter((id) => id !== undefined && id !== null))
    },
    /** Forgets people who have not been heard of for 45 s. Returns what they looked at, by organization. */
    expire: (): ReadonlyMap<string, Touched> => {
      const touched = new Map<string, Touched>()
      for (const [id, looks] of organizations) {
        const over = [...looks.values()].filter(({ untilMs }) => untilMs <= now())
        for (const { userId } of over) looks.delete(userId)
        if (over.length > 0) touched.set(id, new Set(over.map(({ requestId }) => requestId)))
        if (looks.size === 0) organizations.delete(id)
      }
      return touched
    },
    /** Who looks at these requests now, nobody included; without them, at every request that somebody looks at. */
    messages: (organizationId: string, requestIds?: Touched): readonly Message[] => {
      const looks = [...(organizations.get(organizationId)?.values() ?? [])]
      const byRequest = Map.groupBy(looks, ({ requestId }) => requestId)
      return [...(requestIds ?? byRequest.keys())].map((id) => messageOf(id, byRequest.get(id) ?? []))
    },
  }
}

export type Presence = ReturnType<typeof createPresence>
