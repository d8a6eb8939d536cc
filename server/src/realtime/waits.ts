import type { Caller } from '../identity/principal.ts'
import type { ByteBudget } from '../platform/limits/byte-budget.ts'
import type { Slots } from '../platform/limits/slots.ts'
import { refusal } from '../platform/problem.ts'
import type { Hub, Over } from './hub.ts'

/** What happened to a request, as its stream tells it. */
export interface StreamEvent {
  /** The same in every process, and after every restart. */
  readonly id: string
  readonly name: string
  /** JSON. */
  readonly data: string
}

/** A request as it is now, for one caller. */
export interface Shown {
  readonly isPending: boolean
  readonly revision: number
  /** The request on the wire. */
  readonly json: () => string
  /** What its stream tells, in order. */
  readonly events: () => readonly StreamEvent[]
}

export interface WaitContext {
  readonly hub: Hub
  /** Throws 404 when the caller may not see it. */
  readonly show: (by: Caller, requestId: string) => Promise<Shown>
  /** Places are counted like bytes. */
  readonly budget: ByteBudget
  /** Those that are woken together look one after the other, so that other calls find a connection. */
  readonly lookInTurn: Slots
}

export const tooManyWaits = refusal(429, 'realtime.too_many_waits', {
  detail:
    'Your organization holds as many waits and streams here as it may. Let some end, or poll GET /requests/{id}, or have a callback sent.',
  headers: { 'retry-after': '5' },
})

export const noRoomToWait = refusal(503, 'realtime.full', {
  detail:
    'This process holds as many waits and streams as it can. Try again in a few seconds, or poll GET /requests/{id}.',
  headers: { 'retry-after': '5' },
})

/** One call that waits. */
export interface Waiting {
  readonly by: Caller
  readonly requestId: string
  readonly credential: string
  readonly allowAgain: () => Promise<void>
  /** Calls back when the caller is gone. */
  readonly onGone: (act: () => void) => void
}

/**
 * Looks at the request now and after each change, until `look` returns something or the wait is over. Nothing of the request
 * stays in memory in between.
 */
export async function waitFor<T>(
  context: WaitContext,
  { by, requestId, credential, allowAgain, onGone }: Waiting,
  longestMs: number | null,
  look: (shown: Shown, over: Over | null) => T | null,
): Promise<T | null> {
  const { hub, show, budget, lookInTurn } = context
  const { organizationId } = by.principal
  if (!budget.take(organizationId, 1)) throw budget.room(null) < 1 ? noRoomToWait() : tooManyWaits()
  const place = hub.join({ organizationId, requestId: requestId.toLowerCase(), credential, allowAgain })
  const timer = longestMs === null ? null : setTimeout(() => hub.end(place, { why: 'late' }), longestMs)
  onGone(() => hub.end(place, { why: 'gone' }))
  try {
    for (;;) {
      const { over } = place
      if (over?.why === 'refused') throw over.refusal
      if (over?.why === 'gone') return null
      const seen = await lookInTurn(async () => {
        const shown = await show(by, place.requestId)
        place.revision = shown.revision
        return look(shown, over)
      })
      if (seen !== null || over !== null) return seen
      await hub.nextChange(place)
      await allowAgain()
    }
  } finally {
    if (timer !== null) clearTimeout(timer)
    hub.leave(place)
    budget.giveBack(organizationId, 1)
  }
}
