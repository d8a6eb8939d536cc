import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import { documentOf, partPrefix, partsOf } from './document.ts'
import { following, greatestId, leastId } from './parts.ts'
import * as store from './store.ts'

/** Texts of so many requests are held at once: twenty megabytes, if each is as long as is read. */
const together = 128
/** So many times at once, before the other organizations have their turn. */
const turns = 8
/** A part that has so many requests is followed by another (0033_search.sql). */
const partSize = 8_192
/** How many organizations a round looks at, a few index look-ups each. */
const lookedAt = 500

export interface FillingContext {
  readonly workerDb: Db
  /** Up to when every change of every organization is settled, in any process. */
  readonly settledBefore: () => Promise<Date>
}

/** The rounds of filling; each goes on where the one before ended. */
export function createFilling({ workerDb, settledBefore }: FillingContext) {
  let reached = leastId
  /** When the walk over the organizations began, and up to when the last whole one found everything filled in. */
  let walk: { readonly until: Date; isWhole: boolean } | null = null
  let filledUntil: Date | null = null

  return {
    /** Up to when all changes can be found; null before the first walk over all organizations. */
    filledUntil: () => filledUntil,
    /** Fills some, and returns whether more is waiting. */
    round: async (): Promise<boolean> => {
      const until = await settledBefore()
      walk ??= { until, isWhole: true }
      const found = await store.behind(workerDb.within({ worker: true }), reached, lookedAt, until)
      let isMore = false
      for (const { id, behind } of found) {
        let state: Filled = behind ? 'more' : 'all'
        for (let turn = 0; state === 'more' && turn < turns; turn += 1) state = await fill(workerDb, id, until)
        if (state === 'more') isMore = true
        if (state !== 'all') walk.isWhole = false
      }
      if (found.length === lookedAt) {
        reached = found.at(-1)?.id ?? leastId
        return isMore
      }
      reached = leastId
      if (walk.isWhole) filledUntil = walk.until
      walk = null
      return isMore
    },
  }
}

/** `elsewhere`: another process is at it. */
type Filled = 'all' | 'more' | 'elsewhere'

/** Some of what an organization lacks. */
function fill(db: Db, organizationId: string, until: Date): Promise<Filled> {
  return inTransaction(db, { organizationId }, async (tx) => {
    if (!(await store.tryLock(tx, organizationId))) return 'elsewhere'
    const progress = (await store.progressOf(tx, organizationId)) ?? (await begin(tx, organizationId, until))
    const { ids, after } = await nextOf(tx, organizationId, progress, until)
    const { made, added } = await make(tx, organizationId, ids)
    const more = progress.filledTo === null ? added : made
    const documents = await counted(tx, organizationId, progress.documents + more)
    tx.last(store.saveProgress(tx, organizationId, { ...after, documents }))
    return ids.length === together || after.filledTo !== progress.filledTo ? 'more' : 'all'
  })
}

async function begin(tx: Tx, organizationId: string, until: Date): Promise<store.Progress> {
  await store.addPart(tx, organizationId, leastId)
  return { filledTo: leastId, followedTo: until, followedId: greatestId, documents: 0 }
}

interface Next {
  readonly ids: readonly string[]
  /** How far it has come with them. */
  readonly after: store.Progress
}

async function nextOf(tx: Tx, organizationId: string, progress: store.Progress, until: Date): Promise<Next> {
  const due = (await store.due(tx, organizationId, together)).map(({ id }) => id)
  if (due.length > 0) return { ids: due, after: progress }
  if (progress.filledTo !== null) {
    const ids = (await store.next(tx, organizationId, progress.filledTo, together)).map(({ id }) => id)
    return { ids, after: { ...progress, filledTo: ids.length < together ? null : (ids.at(-1) ?? null) } }
  }
  const found = await store.changed(tx, organizationId, progress, until, together)
  const last = found.length < together ? undefined : found.at(-1)
  const after = {
    ...progress,
    followedTo: last?.updatedAt ?? (until > progress.followedTo ? until : progress.followedTo),
    followedId: last?.id ?? greatestId,
  }
  return { ids: found.map(({ id }) => id), after }
}

async function make(tx: Tx, organizationId: string, ids: readonly string[]) {
  if (ids.length === 0) return { made: 0, added: 0 }
  const found = await store.texts(tx, organizationId, ids)
  const left = found.filter(({ isErased }) => !isErased)
  const kept = new Set(left.map(({ id }) => id))
  await store.forget(
    tx,
    organizationId,
    ids.filter((id) => !kept.has(id)),
  )
  const made = left.map((one) => ({
    id: one.id,
    agent: one.agentId,
    document: documentOf(partsOf(one), partPrefix(organizationId, one.part)),
  }))
  return { made: made.length, added: await store.save(tx, organizationId, made) }
}

/** Begins another part where the newest one is full; older requests that come later belong into the older ones. */
async function counted(tx: Tx, organizationId: string, documents: number): Promise<number> {
  if (documents < partSize) return documents
  const newest = await store.newest(tx, organizationId)
  if (newest === null) return documents
  await store.addPart(tx, organizationId, following(newest))
  return 0
}
