import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../platform/clock.ts'
import { createSlots } from '../platform/limits/slots.ts'
import type { Logger } from '../platform/log.ts'
import { type BackgroundWork, createLoop } from '../platform/loop.ts'
import { type Batch, batchOf, type Message } from './messages.ts'
import { afterAll, idOf, isBefore, type Position, positionOf } from './position.ts'
import type { Looking, Presence, Touched } from './presence.ts'

/** One request that changed. */
export interface Changed {
  readonly at: Position
  readonly createdMs: number
  /** As it is sent to people. */
  readonly json: string
}

/** Where the feed reads: the rows of requests, which are the truth. */
export interface FeedSource {
  /** The newest time that a change may have got by now. */
  newestChange(): Date
  /** No change up to this time is under way any more, in any process. */
  settledUntil(): Promise<Date>
  /** What changed after a position and up to a time that is settled, in order; null: more than `most`. */
  changesAfter(organizationId: string, after: Position, until: Date, most: number): Promise<readonly Changed[] | null>
  /** Those of these organizations in which something changed after the position of each. */
  changedOrganizations(since: ReadonlyMap<string, Position>): Promise<readonly string[]>
  /** The numbers beside the queues, for each of these people. */
  counts(organizationId: string, userIds: readonly string[]): Promise<(userId: string) => string>
}

/** An open stream of one person. */
export interface Subscriber {
  readonly organizationId: string
  readonly userId: string
  /** The last message that its reader has. */
  readonly lastEventId: string | null
  readonly send: (batch: Batch) => void
}

interface Followed extends Subscriber {
  position: Position
  counts: string
}

interface Organization {
  readonly id: string
  /** Everything up to here was told to all of them; null: nobody has looked yet. */
  position: Position | null
  readonly followers: Map<Subscriber, Followed>
  readonly newcomers: Set<Subscriber>
  /** Something happened at this time, or before. */
  wantedMs: number | null
  areCountsDue: boolean
  countedAt: number
  /** What was counted last, for each person that followed then. */
  counts: ReadonlyMap<string, string>
  /** The requests whose people changed since they were last told. */
  readonly presenceDue: Set<string>
  presenceToldAt: number
}

/** Commits within this time are sent together. */
const gatherMs = 20
/** Finds the changes whose hint was lost. */
const pollMs = 1_000
/** More at once are not told one by one: reading the lists again costs less. */
const mostTold = 300
const mostToldBytes = 131_072
const countEveryMs = 1_000
/** A person who moves through the list with a key passes many requests. */
const tellPresenceEveryMs = 500
/** Requests become due soon without a change. */
const recountAfterMs = 60_000
/** Clocks of other hosts may be ahead by less than this. */
const aheadMs = 60_000
const looksAtOnce = 8

/**
 * The changes that every open inbox receives, read once for all streams of an organization. A commit here, a hint from another
 * process or a poll only says that something changed; the rows say what, and in which order.
 */
export function createFeed(
  { source, presence, clock, log }: { source: FeedSource; presence: Presence; clock: Clock; log: Logger },
  now: () => number = () => performance.now(),
) {
  const organizations = new Map<string, Organization>()
  const lookInTurn = createSlots(looksAtOnce)
  let polledAt = Number.NEGATIVE_INFINITY

  const organizationOf = (id: string): Organization => {
    const known = organizations.get(id)
    if (known !== undefined) return known
    const made: Organization = {
      id,
      position: null,
      followers: new Map(),
      newcomers: new Set(),
      wantedMs: null,
      areCountsDue: true,
      countedAt: Number.NEGATIVE_INFINITY,
      counts: new Map(),
      presenceDue: new Set(),
      presenceToldAt: Number.NEGATIVE_INFINITY,
    }
    organizations.set(id, made)
    return made
  }

  const wants = (organization: Organization): void => {
    organization.wantedMs = Math.max(organization.wantedMs ?? 0, source.newestChange().getTime())
  }

  const poll = async (): Promise<void> => {
    polledAt = now()
    const since = new Map<string, Position>()
    for (const { id, position } of organizations.values()) if (position !== null) since.set(id, position)
    if (since.size === 0) return
    for (const id of await source.changedOrganizations(since)) {
      const organization = organizations.get(id)
      if (organization !== undefined) wants(organization)
    }
  }

  const advance = async (organization: Organization, until: Date): Promise<void> => {
    const { position, wantedMs } = organization
    if (position === null) organization.position = afterAll(until)
    else if (wantedMs !== null && until.getTime() > position.ms) {
      const changes = await source.changesAfter(organization.id, position, until, mostTold)
      const reached = afterAll(until)
      organization.position = reached
      tell(organization, changes, reached)
      organization.areCountsDue ||= changes === null || changes.length > 0
    }
    // What is not settled yet is looked for again.
    if (organization.wantedMs !== null && organization.wantedMs <= until.getTime()) organization.wantedMs = null
  }

  const tell = ({ followers }: Organization, changes: readonly Changed[] | null, reached: Position): void => {
    // Nearly all have come equally far, and share one text.
    const batches = new Map<string, Batch | null>()
    for (const follower of followers.values()) {
      const from = idOf(follower.position)
      const batch = batches.has(from) ? (batches.get(from) ?? null) : newsAfter(follower.position, changes, reached)
      batches.set(from, batch)
      if (isBefore(follower.position, reached)) follower.position = reached
      if (batch !== null) follower.send(batch)
    }
  }

  const welcome = async (organization: Organization, newcomer: Subscriber): Promise<void> => {
    const { position: reached, newcomers, followers } = organization
    if (reached === null) return
    const known = newcomer.lastEventId === null ? null : positionOf(newcomer.lastEventId)
    const isPlausible = known !== null && known.ms <= clock.now().getTime() + aheadMs
    const position = isPlausible ? known : reached
    const changes =
      isPlausible && isBefore(known, reached)
        ? await lookInTurn(() => source.changesAfter(organization.id, known, new Date(reached.ms), mostTold))
        : []
    // It may have gone meanwhile.
    if (!newcomers.delete(newcomer)) return
    const follower = { ...newcomer, position: isBefore(position, reached) ? reached : position, counts: '' }
    followers.set(newcomer, follower)
    const batch = isPlausible
      ? newsAfter(position, changes, reached)
      : resetAt(reached, newcomer.lastEventId === null ? 'new' : 'gap')
    if (batch !== null) newcomer.send(batch)
    const present = presence.messages(organization.id)
    if (present.length > 0) newcomer.send(batchOf(present))
    // A new page does not count again: many may come at once.
    if (organization.counts.has(newcomer.userId)) tellCounts(organization, [follower])
    else organization.areCountsDue = true
  }

  const count = async (organization: Organization): Promise<void> => {
    const { followers, id } = organization
    organization.countedAt = now()
    // Until it has succeeded.
    organization.areCountsDue = true
    const userIds = [...new Set([...followers.values()].map(({ userId }) => userId))]
    const countsOf = await source.counts(id, userIds)
    organization.areCountsDue = false
    organization.counts = new Map(userIds.map((userId) => [userId, countsOf(userId)]))
    tellCounts(organization, followers.values())
  }

  const look = async (organization: Organization, until: Date | null): Promise<void> => {
    if (until !== null) await lookInTurn(() => advance(organization, until))
    const arrived = [...organization.newcomers]
    await allOf(arrived.map((newcomer) => welcome(organization, newcomer)))
    tellPresence(organization)
    const sinceMs = now() - organization.countedAt
    const isDue = sinceMs >= (organization.areCountsDue ? countEveryMs : recountAfterMs)
    if (organization.followers.size > 0 && isDue) await lookInTurn(() => count(organization))
  }

  const touch = (touched: ReadonlyMap<string, Touched>): void => {
    for (const [id, requestIds] of touched) {
      // Without a reader here, nothing is due.
      const organization = organizations.get(id)
      for (const requestId of requestIds) organization?.presenceDue.add(requestId)
    }
  }

  const tellPresence = (organization: Organization): void => {
    const { id, followers, presenceDue } = organization
    if (presenceDue.size === 0 || now() - organization.presenceToldAt < tellPresenceEveryMs) return
    organization.presenceToldAt = now()
    const batch = batchOf(presence.messages(id, presenceDue))
    presenceDue.clear()
    for (const follower of followers.values()) follower.send(batch)
  }

  const isWanted = ({ position, wantedMs, newcomers }: Organization): boolean =>
    position === null || wantedMs !== null || newcomers.size > 0

  const loop = createLoop('the feed of inboxes', pollMs, log, async () => {
    if (organizations.size === 0) return false
    touch(presence.expire())
    if (now() - polledAt >= pollMs) await poll()
    const all = [...organizations.values()]
    if (all.some(isWanted)) await delay(gatherMs)
    const isBehind = all.some(({ position, wantedMs }) => position === null || wantedMs !== null)
    const until = isBehind ? await source.settledUntil() : null
    await allOf(all.map((one) => look(one, one.position === null || one.wantedMs !== null ? until : null)))
    return [...organizations.values()].some(isWanted)
  })

  const work: BackgroundWork = {
    ...loop,
    drain: async () => {
      polledAt = Number.NEGATIVE_INFINITY
      await loop.drain()
    },
  }

  return {
    ...work,
    join: (subscriber: Subscriber): void => {
      organizationOf(subscriber.organizationId).newcomers.add(subscriber)
      loop.wake()
    },
    leave: (subscriber: Subscriber): void => {
      const organization = organizations.get(subscriber.organizationId)
      if (organization === undefined) return
      organization.newcomers.delete(subscriber)
      organization.followers.delete(subscriber)
      if (organization.newcomers.size + organization.followers.size === 0) organizations.delete(organization.id)
    },
    /** Somebody looks at this request now; null: at none. Returns whether that is news. */
    look: (organizationId: string, who: Looking, requestId: string | null): boolean => {
      const touched = presence.look(organizationId, who, requestId)
      touch(new Map([[organizationId, touched]]))
      if (touched.size > 0 && organizations.has(organizationId)) loop.wake()
      return touched.size > 0
    },
    /** Something changed in these organizations, or may have: requests, or only what somebody put aside. Null: in any. */
    changed: (ids: Iterable<string> | null): void => {
      let isFollowed = false
      for (const id of ids ?? organizations.keys()) {
        const organization = organizations.get(id)
        if (organization === undefined) continue
        isFollowed = true
        organization.areCountsDue = true
        wants(organization)
      }
      if (isFollowed) loop.wake()
    },
  }
}

/**
 * Waits for all, also when one fails: what still runs would run beside the next round, which tells followers of changes that a
 * newcomer then never hears of.
 */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') throw failed.reason
}

/** Sends what was counted last to those who have something else. */
function tellCounts({ counts }: Organization, followers: Iterable<Followed>): void {
  const batches = new Map<string, Batch>()
  for (const follower of followers) {
    const own = counts.get(follower.userId)
    if (own === undefined || own === follower.counts) continue
    follower.counts = own
    const batch = batches.get(own) ?? batchOf([{ id: null, event: 'counts', data: own }])
    batches.set(own, batch)
    follower.send(batch)
  }
}

/** What a stream that has come this far is told; null: nothing. */
function newsAfter(position: Position, changes: readonly Changed[] | null, reached: Position): Batch | null {
  if (changes === null) return resetAt(reached, 'gap')
  const messages = changes
    .filter(({ at }) => isBefore(position, at))
    .map(({ at, createdMs, json }): Message => {
      const isNew = isBefore(position, { ms: createdMs, id: at.id })
      return { id: idOf(at), event: isNew ? 'request.new' : 'request.changed', data: json }
    })
  const bytes = messages.reduce((sum, { data }) => sum + Buffer.byteLength(data), 0)
  return messages.length === 0 ? null : bytes > mostToldBytes ? resetAt(reached, 'gap') : batchOf(messages)
}

/** new: a stream begins; gap: more was missed than is told one by one. */
function resetAt(reached: Position, reason: 'new' | 'gap'): Batch {
  return batchOf([{ id: idOf(reached), event: 'reset', data: JSON.stringify({ reason }) }])
}
