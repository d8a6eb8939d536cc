import { useSyncExternalStore } from 'react'
import type { PersonLooking, Presence } from '../api/presence.ts'
import { session } from '../api/session.ts'

const nobody: readonly PersonLooking[] = []
let looking: ReadonlyMap<string, readonly PersonLooking[]> = new Map()
const listeners = new Set<() => void>()

function become(next: typeof looking): void {
  looking = next
  for (const listener of listeners) listener()
}

/** Who else looks at a request now. */
export const othersAt = (id: string): readonly PersonLooking[] => looking.get(id) ?? nobody

export const useOthersAt = (id: string): readonly PersonLooking[] =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => othersAt(id),
  )

/** What the stream tells of one request: all who look at it, oneself included. */
export function present({ request_id, people }: Presence): void {
  const others = people.filter(({ id }) => id !== session.who())
  const next = new Map(looking)
  if (others.length === 0) next.delete(request_id)
  else next.set(request_id, others)
  become(next)
}

/** Who came and went is not told while there is no stream; a new one tells who is there. */
export function forgetPresence(): void {
  if (looking.size > 0) become(new Map())
}

/** For a tab that joins later. */
export const presences = (): readonly Presence[] =>
  [...looking].map(([request_id, people]) => ({ request_id, people: [...people] }))
