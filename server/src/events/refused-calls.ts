import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Actor, type Fact, factBy, type Report } from '../facts/fact.ts'
import { actorOf } from '../identity/principal.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction } from '../platform/database/db.ts'
import { outageOf, provesRollback } from '../platform/database/errors.ts'
import { installationId } from '../platform/ids.ts'
import type { Logger } from '../platform/log.ts'
import { Problem } from '../platform/problem.ts'

/** A call that was refused. */
export interface RefusedCall {
  readonly organizationId: string
  readonly kind: 'access.refused' | 'credential.refused'
  readonly actor: Actor
  /** The problem's code. */
  readonly code: string
  /** What the call was about; null when about nothing specific. */
  readonly requestId: string | null
  /** IPv4 address or IPv6 /64. */
  readonly network: string | null
  /** The route of the first call; later ones are only counted. */
  readonly route: string
  readonly httpRequestId: string
}

export interface RefusedCalls {
  /** Never waits and never throws: the reply is about to leave. */
  note(refusal: RefusedCall): void
  /** Writes what has been collected. */
  flush(): Promise<void>
  /** Writes what has been collected, and stops collecting. */
  close(): Promise<void>
}

export interface RefusedCallsDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly report: Report
}

/** Distinct refusals kept at a time, and as many more by organization and code alone. */
const maxEntries = 256
const flushMs = 1_000
/** While there are more than fit, the audit is written more and more rarely, so that a flood cannot fill the disk. */
const longestPauseMs = 64_000

interface Entry {
  readonly refusal: RefusedCall
  firstAt: Date
  lastAt: Date
  count: number
}

/**
 * Collects refusals and appends them as events, equal ones counted into one. Bounded in memory (512 entries) and in what it
 * writes, and never delays a reply. Refusals that could not be written wait for the next attempt, after longer and longer
 * pauses; they may be counted twice when only the reply to the commit was lost. A crash loses at most the last second.
 */
export function createRefusedCalls({ db, clock, log, report }: RefusedCallsDependencies): RefusedCalls {
  let entries = new Map<string, Entry>()
  let timer: NodeJS.Timeout | null = null
  let pauseMs = flushMs
  let strained = false
  let closed = false
  let writing: Promise<void> = Promise.resolve()

  const add = (entry: Entry): void => {
    const { refusal, firstAt, lastAt, count } = entry
    const { organizationId, kind, code, requestId, network, actor } = refusal
    const key = JSON.stringify([organizationId, kind, code, requestId, network, actor.kind, actor.id])
    const known = entries.get(key)
    if (known !== undefined) {
      known.count += count
      if (firstAt < known.firstAt) known.firstAt = firstAt
      if (lastAt > known.lastAt) known.lastAt = lastAt
    } else if (entries.size < (network === null ? 2 : 1) * maxEntries) {
      entries.set(key, entry)
    } else if (network !== null) {
      strained = true
      add({ ...entry, refusal: { ...refusal, requestId: null, network: null, actor: { kind: actor.kind, id: null } } })
    } else {
      // More organizations and codes than that: only their sum is kept, not whose they were.
      add({ ...entry, refusal: [...entries.values()].at(-1)?.refusal ?? refusal })
    }
  }

  const schedule = (): void => {
    if (!closed) timer ??= setTimeout(flush, pauseMs).unref()
  }

  const write = async (): Promise<void> => {
    const collected = Map.groupBy(entries.values(), (entry) => entry.refusal.organizationId)
    entries = new Map()
    for (const [organizationId, some] of collected) {
      try {
        await inTransaction(db, { organizationId }, async (tx) => {
          tx.last(report(tx, some.map(factOf)))
        })
        collected.delete(organizationId)
      } catch (error) {
        // PostgreSQL would refuse these again, and block the rest.
        const again = !provesRollback(error)
        if (outageOf(error) === null)
          log.warn({ err: error, kinds: some.length, again }, 'refusals were not written to the audit')
        if (again) break
        collected.delete(organizationId)
      }
    }
    if (collected.size === 0) return
    for (const entry of [...collected.values()].flat()) add(entry)
    strained = true
    schedule()
  }

  const flush = (): Promise<void> => {
    if (timer !== null) clearTimeout(timer)
    timer = null
    pauseMs = strained ? Math.min(longestPauseMs, pauseMs * 2) : flushMs
    strained = false
    writing = writing.then(write)
    return writing
  }

  return {
    note: (refusal) => {
      if (closed) return
      const now = clock.now()
      add({ refusal, firstAt: now, lastAt: now, count: 1 })
      schedule()
    },
    flush,
    close: () => {
      closed = true
      return flush()
    },
  }
}

function factOf({ refusal, firstAt, lastAt, count }: Entry): Fact {
  const { organizationId, kind, code, requestId, route } = refusal
  return factBy(refusal, kind, requestId === null ? ['organization', organizationId] : ['request', requestId], {
    before: null,
    after: { code, route, count, first_at: firstAt },
    occurredAt: lastAt,
  })
}

/**
 * Records refusals that matter for security: every 403 to a signed-in caller, every invalid key or token, foreign pages
 * that call with a session cookie (403 `auth.cross_site`), every 429, and each refused use of an approval. Failed sign-ins, and
 * valid keys that are used too late or from another network, are reported where they are checked, because that code knows whose
 * they are. A call without any credential, or for something of another organization, is not recorded.
 */
export function registerRefusedCalls(app: FastifyInstance, refusedCalls: RefusedCalls): void {
  app.addHook('onError', async (request, _reply, error) => {
    if (error instanceof Problem) noteRefusal(request, error, refusedCalls)
  })
}

const nobody: Actor = { kind: 'anonymous', id: null }

function noteRefusal(request: FastifyRequest, { status, code }: Problem, refusedCalls: RefusedCalls): void {
  const { principal } = request
  const isUse = request.routeOptions.config.usesApproval === true && (status === 409 || status === 412)
  if (status === 401 && code === 'auth.invalid') {
    refusedCalls.note({
      ...callOf(request),
      organizationId: installationId,
      kind: 'credential.refused',
      actor: nobody,
      code,
    })
  } else if (principal !== null && (status === 403 || status === 429 || isUse)) {
    const { organizationId } = principal
    const requestId = isUse ? (request.params as { readonly id: string }).id.toLowerCase() : null
    const refusal = {
      ...callOf(request),
      organizationId,
      kind: 'access.refused',
      actor: actorOf(principal),
      code,
    } as const
    refusedCalls.note({ ...refusal, requestId })
  } else if (status === 429 || code === 'auth.cross_site') {
    // Without an owner: naming the account of a typed address would reveal that it exists.
    refusedCalls.note({
      ...callOf(request),
      organizationId: installationId,
      kind: 'access.refused',
      actor: nobody,
      code,
    })
  }
}

function callOf(request: FastifyRequest) {
  const route = `${request.method} ${request.routeOptions.url ?? ''}`
  return { requestId: null, network: request.client.network, route, httpRequestId: request.id }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Uses the approval of the request `:id`: a caller that is refused tried to act without one. */
    readonly usesApproval?: boolean
  }
}
