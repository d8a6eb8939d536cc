import { randomUUID } from 'node:crypto'
import type { Fact } from '../facts/fact.ts'
import type { EventKind } from '../facts/kinds.ts'
import type { Db, Tx } from '../platform/database/db.ts'
import type { Hints } from '../platform/database/listen.ts'
import type { Logger } from '../platform/log.ts'
import { createLoop } from '../platform/loop.ts'
import type { Hub } from './hub.ts'
import * as store from './store.ts'

export interface ChangeDependencies {
  readonly hub: Hub
  /** Hears in which organizations a request changed in any way, or numbers beside queues. Null: in any of them. */
  readonly inboxes: (organizationIds: Iterable<string> | null) => void
  /** Hears who looks at which request in other processes. */
  readonly looks: (look: Look) => void
  readonly db: Db
  readonly log: Logger
  readonly hints: Hints
  /** Whether other processes use this database. */
  readonly hasOthers: () => Promise<boolean>
}

/** One person's look at a request; null: at none any more. */
export interface Look {
  readonly organizationId: string
  readonly userId: string
  readonly name: string | null
  readonly requestId: string | null
}

/** What somebody who waits for a request hears of. */
const heard: ReadonlySet<EventKind> = new Set([
  'request.responded',
  'request.released',
  'request.timed_out',
  'request.cancelled',
  'request.revised',
])

/** Hints are sent together: a NOTIFY takes a lock at its commit that all others wait for. */
const hintMs = 20
/** How long the answer to `hasOthers` is good for: meanwhile, waiters of a new process learn by polling. */
const othersMs = 5_000
const pollMs = 1_000

/**
 * Wakes those who wait. A commit of this process wakes them directly; other processes get a hint, outside the commit, and poll
 * once a second for the case that it is lost, or that a pooler in between keeps it from them.
 */
export function createChanges({ hub, inboxes, looks, db, log, hints, hasOthers }: ChangeDependencies) {
  const background = db.within({})
  const untold = { [store.changeNotification]: new Set<string>(), [store.inboxNotification]: new Set<string>() }
  /** By person: the last one counts. */
  const untoldLooks = new Map<string, Look>()
  const processId = randomUUID()
  let timer: NodeJS.Timeout | null = null
  let sending: Promise<void> = Promise.resolve()
  let others = { present: false, until: 0 }

  const hasOthersNow = async (): Promise<boolean> => {
    const now = performance.now()
    if (now >= others.until) others = { present: await hasOthers(), until: now + othersMs }
    return others.present
  }
  const send = async (): Promise<void> => {
    const told = Object.entries(untold).map(([channel, ids]) => [channel, [...ids]] as const)
    for (const ids of Object.values(untold)) ids.clear()
    const looked = [...untoldLooks.values()].map((look) => JSON.stringify({ ...look, processId }))
    untoldLooks.clear()
    try {
      if (!(await hasOthersNow())) return
      if (told.some(([, ids]) => ids.length > 0)) await store.notify(background, told)
      if (looked.length > 0) await store.notifyPresence(background, looked)
    } catch {
      // They poll; and where the database is away, its watch says so.
    }
  }
  const tellSoon = (): void => {
    timer ??= setTimeout(() => {
      timer = null
      sending = sending.then(send)
    }, hintMs)
  }
  const tell = (ids: readonly string[], organizationIds: ReadonlySet<string>): void => {
    hub.changed(ids)
    inboxes(organizationIds)
    for (const id of ids) untold[store.changeNotification].add(id)
    for (const id of organizationIds) untold[store.inboxNotification].add(id)
    tellSoon()
  }

  const polling = createLoop('waits', pollMs, log, async () => {
    const awaited = hub.awaited()
    if (awaited.size > 0) hub.changed(await store.changed(background, awaited))
    return false
  })

  return {
    /** For `events.append`: what this transaction changes wakes its waiters once it is committed. */
    announce: async (tx: Tx, facts: readonly Fact[]): Promise<void> => {
      const ofRequests = facts.filter(({ subjectKind }) => subjectKind === 'request')
      if (ofRequests.length === 0) return
      const ids = ofRequests.filter(({ kind }) => heard.has(kind)).map(({ subjectId }) => subjectId)
      const organizationIds = new Set(ofRequests.map(({ organizationId }) => organizationId))
      tx.onCommit(() => tell(ids, organizationIds))
    },
    /** Tells other processes. */
    tellLook: (look: Look): void => {
      untoldLooks.set(`${look.organizationId} ${look.userId}`, look)
      tellSoon()
    },
    /** The numbers beside somebody's queues changed, and no request. */
    countsChanged: (organizationId: string): void => tell([], new Set([organizationId])),
    start: (): void => {
      polling.start()
      hints.on(store.presenceNotification, (payload) => {
        const look = payload === null ? null : (JSON.parse(payload) as Look & { readonly processId: string })
        if (look !== null && look.processId !== processId) looks(look)
      })
      hints.on(store.changeNotification, (ids) =>
        ids === null ? hub.everythingMayHaveChanged() : hub.changed(ids.split(' ')),
      )
      hints.on(store.inboxNotification, (ids) => inboxes(ids?.split(' ') ?? null))
    },
    drain: polling.drain,
    stop: async (): Promise<void> => {
      if (timer !== null) {
        clearTimeout(timer)
        sending = sending.then(send)
      }
      await Promise.all([polling.stop(), sending])
    },
  }
}
