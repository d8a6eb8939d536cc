import type { Clock } from '../platform/clock.ts'
import type { Db } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import { createLoop } from '../platform/loop.ts'
import type { Instruments } from './instruments.ts'
import { oldestDueTimer, type Waiting, waitingAfter } from './store.ts'

const everyMs = 5_000
/** The organizations of one look. With more, a full view takes several looks. */
const atOnce = 100
const listed = 100

export const blank = {
  open: { high: 0, critical: 0, other: 0 },
  oldest: { high: null, critical: null, other: null } as Record<'high' | 'critical' | 'other', Date | null>,
  due: 0,
  oldestDue: null as Date | null,
  unsealed: 0,
  oldestUnsealed: null as Date | null,
}

export type Sums = typeof blank

const earlier = (one: Date | null, other: Date | null): Date | null =>
  one === null || other === null ? (one ?? other) : one < other ? one : other

export function add(sums: Sums, found: Waiting): Sums {
  const { open, oldest } = sums
  return {
    open: {
      high: open.high + found.open_high,
      critical: open.critical + found.open_critical,
      other: open.other + Math.max(0, found.open - found.open_high - found.open_critical),
    },
    oldest: {
      high: earlier(oldest.high, found.oldest_high),
      critical: earlier(oldest.critical, found.oldest_critical),
      other: earlier(oldest.other, found.oldest),
    },
    due: sums.due + found.due,
    oldestDue: earlier(sums.oldestDue, found.oldest_due),
    unsealed: sums.unsealed + found.unsealed,
    oldestUnsealed: earlier(sums.oldestUnsealed, found.oldest_unsealed),
  }
}

/** Looks every five seconds at what waits in the database, never because somebody scrapes. */
export function watchBacklog(
  { db, clock, log }: { readonly db: Db; readonly clock: Clock; readonly log: Logger },
  instruments: Instruments,
  perOrganization: boolean,
) {
  let after: string | null = null
  let walk: Waiting[] = []
  let sums: Sums = blank
  let view: { readonly sums: Sums; readonly timer: Date | null; readonly at: number } | null = null
  const loop = createLoop('metrics', everyMs, log, async () => {
    const now = clock.now()
    const found = await waitingAfter(db, after, atOnce, now)
    sums = found.reduce(add, sums)
    if (perOrganization) walk = [...walk, ...found].sort((a, b) => b.open - a.open).slice(0, listed)
    after = found.length < atOnce ? null : (found.at(-1)?.organization_id ?? null)
    if (after !== null) return false
    view = { sums, timer: await oldestDueTimer(db, now), at: now.getTime() }
    sums = blank
    instruments.openOf.reset()
    for (const { organization_id, open } of walk) if (open > 0) instruments.openOf.set({ organization_id }, open)
    walk = []
    return false
  })
  const show = (): void => {
    if (view === null) return
    const now = clock.now().getTime()
    const age = (at: Date | null): number => (at === null ? 0 : Math.max(0, now - at.getTime()) / 1_000)
    for (const tier of ['high', 'critical', 'other'] as const) {
      instruments.open.set({ tier }, view.sums.open[tier])
      instruments.oldestOpen.set({ tier }, age(view.sums.oldest[tier]))
    }
    instruments.due.set(view.sums.due)
    instruments.oldestDue.set(age(view.sums.oldestDue))
    instruments.oldestTimer.set(age(view.timer))
    instruments.unsealed.set(view.sums.unsealed)
    instruments.oldestUnsealed.set(age(view.sums.oldestUnsealed))
    instruments.backlogAge.set((now - view.at) / 1_000)
  }
  return { loop, show }
}
