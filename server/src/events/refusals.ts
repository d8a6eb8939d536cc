import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Actor, actorOf } from '../identity/principal.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction } from '../platform/db.ts'
import { installationId, newId } from '../platform/ids.ts'
import type { Logger } from '../platform/log.ts'
import { Problem } from '../platform/problem.ts'
import type { Event } from './event.ts'
import type { Events } from './service.ts'

/** Somebody was refused. */
export interface Refusal {
  readonly organizationId: string
  readonly kind: 'access.refused' | 'credential.refused'
  readonly actor: Actor
  /** The problem's code. */
  readonly code: string
  /** IPv4 address or IPv6 /64. */
  readonly network: string | null
  /** Of the first one; the others are counted. */
  readonly route: string
  readonly httpRequestId: string
}

export interface Refusals {
  /** Never waits and never throws: the caller is about to be answered. */
  note(refusal: Refusal): void
  /** Writes what has been collected. */
  flush(): Promise<void>
  /** Writes what has been collected; nothing is collected any more. */
  close(): Promise<void>
}

export interface RefusalDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly events: Events
}

/** Different refusals that are told apart at a time; as many more when only organization and code are told. */
const maxEntries = 256
const flushMs = 1_000
/** While there are more than fit, the audit is written to more and more rarely: it is no weapon against the disk. */
const longestPauseMs = 64_000

interface Entry {
  readonly refusal: Refusal
  readonly firstAt: Date
  lastAt: Date
  count: number
}

/**
 * Collects refusals and appends them as events, equal ones counted into one. Bounded in memory (512 entries) and in what it
 * writes; kept out of the way of replies. What a crash takes with it is the last second of them.
 */
export function createRefusals({ db, clock, log, events }: RefusalDependencies): Refusals {
  let entries = new Map<string, Entry>()
  let timer: NodeJS.Timeout | null = null
  let pauseMs = flushMs
  let overflowed = false
  let closed = false
  let writing: Promise<void> = Promise.resolve()

  const add = (refusal: Refusal): void => {
    const { organizationId, kind, code, network, actor } = refusal
    const key = JSON.stringify([organizationId, kind, code, network, actor.kind, actor.id])
    const known = entries.get(key)
    const now = clock.now()
    if (known !== undefined) {
      known.count += 1
      known.lastAt = now
    } else if (entries.size < (network === null ? 2 : 1) * maxEntries) {
      entries.set(key, { refusal, firstAt: now, lastAt: now, count: 1 })
    } else if (network !== null) {
      overflowed = true
      add({ ...refusal, network: null, actor: { kind: actor.kind, id: null } })
    } else {
      // As many organizations and codes as that at once: what they add up to is told, not whose they were.
      add([...entries.values()].at(-1)?.refusal ?? refusal)
    }
  }

  const write = async (): Promise<void> => {
    const collected = [...entries.values()]
    entries = new Map()
    for (const [organizationId, some] of Map.groupBy(collected, (entry) => entry.refusal.organizationId)) {
      await inTransaction(db, { organizationId }, async (tx) => {
        tx.last(events.append(tx, some.map(eventOf)))
      })
    }
  }

  const flush = (): Promise<void> => {
    if (timer !== null) clearTimeout(timer)
    timer = null
    pauseMs = overflowed ? Math.min(longestPauseMs, pauseMs * 2) : flushMs
    overflowed = false
    writing = writing
      .then(write)
      .catch((error: unknown) => log.warn({ err: error }, 'refusals were not written to the audit'))
    return writing
  }

  return {
    note: (refusal) => {
      if (closed) return
      add(refusal)
      timer ??= setTimeout(flush, pauseMs).unref()
    },
    flush,
    close: () => {
      closed = true
      return flush()
    },
  }
}

function eventOf({ refusal, firstAt, lastAt, count }: Entry): Event {
  const { organizationId, kind, actor, code, network, route, httpRequestId } = refusal
  return {
    id: newId(),
    organizationId,
    kind,
    subjectKind: 'organization',
    subjectId: organizationId,
    actor,
    httpRequestId,
    network,
    before: null,
    after: { code, route, count, first_at: firstAt },
    occurredAt: lastAt,
  }
}

/**
 * Notes every 403 to somebody who had signed in, and every key or token that is none. Failed sign-ins, and keys that are
 * right but not now or not from there, are reported by who judges them, where it is known whose they are; that somebody sent no credential at all, or is not shown what is another's, is no refusal.
 */
export function registerRefusals(app: FastifyInstance, refusals: Refusals): void {
  app.addHook('onError', async (request, _reply, error) => {
    if (!(error instanceof Problem)) return
    const { principal } = request
    if (error.status === 401 && error.code === 'auth.invalid') {
      refusals.note(
        refusalOf(request, 'credential.refused', error.code, installationId, { kind: 'anonymous', id: null }),
      )
    } else if (error.status === 403 && principal !== null) {
      refusals.note(refusalOf(request, 'access.refused', error.code, principal.organizationId, actorOf(principal)))
    }
  })
}

function refusalOf(
  request: FastifyRequest,
  kind: Refusal['kind'],
  code: string,
  organizationId: string,
  actor: Actor,
): Refusal {
  const route = `${request.method} ${request.routeOptions.url ?? ''}`
  return { organizationId, kind, actor, code, network: request.client.network, route, httpRequestId: request.id }
}
