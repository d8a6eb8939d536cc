import type { Caller, Person, Principal } from '../identity/principal.ts'
import type { Clock } from '../platform/clock.ts'
import type { Db, Tx } from '../platform/database/db.ts'
import type { ParsedJson } from '../platform/json.ts'
import type { AnyRefusal } from '../platform/problem.ts'
import { withContext } from '../platform/with-context.ts'
import { noDraft, requireLater, requireSmall, tooManySnoozed } from './inbox.ts'
import * as store from './store.ts'

export interface InboxContext {
  readonly db: Db
  readonly clock: Clock
  readonly requests: {
    /** Throws 404 when the caller may not see it. */
    readonly requireVisible: (principal: Principal, id: string) => Promise<unknown>
    /** Throws that, and 409 unless it is open. */
    readonly requireOpen: (principal: Principal, id: string) => Promise<void>
    readonly notFound: AnyRefusal
    readonly closed: readonly AnyRefusal[]
    /** Throws 422 unless it is one of a list of theirs. */
    readonly requireQuery: (principal: Person, query: string) => void
    /** How many requests the first page of it has, and whether there may be more. */
    readonly count: (principal: Person, query: string) => Promise<{ readonly count: number; readonly isMore: boolean }>
  }
  /** What is in somebody's queues has changed without a change of a request. */
  readonly countsChanged: (organizationId: string) => void
}

export type Inbox = ReturnType<typeof createInbox>

export function createInbox(context: InboxContext) {
  return withContext(context, { snooze, unsnooze, saveDraft, draft, deleteDraft })
}

const keyOf = ({ principal }: Caller<Person>, id: string): store.Key => ({
  organizationId: principal.organizationId,
  userId: principal.userId,
  requestId: id.toLowerCase(),
})

const rowsOf = ({ db }: InboxContext, { principal }: Caller<Person>) =>
  db.within({ organizationId: principal.organizationId })

async function snooze(context: InboxContext, by: Caller<Person>, id: string, until: Date): Promise<void> {
  // First, so that what is not theirs to see is 404 whatever they send.
  await context.requests.requireOpen(by.principal, id)
  requireLater(until, context.clock.now())
  if (!(await store.snooze(rowsOf(context, by), keyOf(by, id), until))) {
    // It may have been closed meanwhile, which this says.
    await context.requests.requireOpen(by.principal, id)
    throw tooManySnoozed()
  }
  context.countsChanged(by.principal.organizationId)
}

async function unsnooze(context: InboxContext, by: Caller<Person>, id: string): Promise<void> {
  await context.requests.requireVisible(by.principal, id)
  await store.unsnooze(rowsOf(context, by), keyOf(by, id))
  context.countsChanged(by.principal.organizationId)
}

async function saveDraft(
  context: InboxContext,
  by: Caller<Person>,
  id: string,
  revision: number,
  members: ParsedJson['members'],
): Promise<store.Draft> {
  const answer = members.get('answer')
  if (answer === undefined) throw new Error('the schema requires an answer')
  await context.requests.requireOpen(by.principal, id)
  requireSmall(answer)
  const draft = { revision, answer, updatedAt: context.clock.now() }
  while (!(await store.saveDraft(rowsOf(context, by), keyOf(by, id), draft))) {
    // It was closed meanwhile, which this says.
    await context.requests.requireOpen(by.principal, id)
  }
  return draft
}

async function draft(context: InboxContext, by: Caller<Person>, id: string): Promise<store.Draft> {
  await context.requests.requireVisible(by.principal, id)
  const found = await store.findDraft(rowsOf(context, by), keyOf(by, id))
  if (found === null) throw noDraft()
  return found
}

async function deleteDraft(context: InboxContext, by: Caller<Person>, id: string): Promise<void> {
  await context.requests.requireVisible(by.principal, id)
  await store.deleteDraft(rowsOf(context, by), keyOf(by, id))
}

/** One act on one request, as readers of events get it. */
interface RequestChange {
  readonly before: { readonly state: string } | null
  readonly after: { readonly organizationId: string; readonly id: string; readonly state: string }
}

/** For `events.append`: the act that closes a request takes it out of what people put aside, and the drafts of its answers with it. */
export async function forgetClosed(tx: Tx, _facts: unknown, changes: readonly RequestChange[]): Promise<void> {
  const closed = changes.filter(({ before, after }) => before?.state === 'pending' && after.state !== 'pending')
  const organizationId = closed[0]?.after.organizationId
  if (organizationId === undefined) return
  await store.forgetClosed(tx, organizationId, [...new Set(closed.map(({ after }) => after.id))])
}
