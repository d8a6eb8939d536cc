import type { Queryable, Statement, Tx } from '../platform/database/db.ts'
import type { JsonText } from '../platform/json.ts'
import { mostDrafts, mostSnoozed } from './inbox.ts'

/** One person, and one request. */
export interface Key {
  readonly organizationId: string
  readonly userId: string
  readonly requestId: string
}

// The lock makes it wait for an act that is closing the request, and look again afterwards.
const open = `open as (
      select from consultation_requests where organization_id = $1 and id = $3 and state = 'pending' for key share
    )`

const snoozeStatement: Statement = {
  name: 'inbox_snooze',
  text: `with ${open}
    insert into request_snoozes (organization_id, user_id, request_id, until)
    select $1, $2, $3, $4 from open
    where exists (select from request_snoozes where organization_id = $1 and user_id = $2 and request_id = $3)
      or (select count(*) from (select from request_snoozes where organization_id = $1 and user_id = $2
        limit ${mostSnoozed}) own) < ${mostSnoozed}
    on conflict (organization_id, user_id, request_id) do update set until = excluded.until
    returning 1`,
}

/** False when the request is closed, or this person has put too many aside. */
export async function snooze(db: Queryable, { organizationId, userId, requestId }: Key, until: Date): Promise<boolean> {
  return (await db.execute(snoozeStatement, [organizationId, userId, requestId, until])).length === 1
}

const unsnoozeStatement: Statement = {
  name: 'inbox_unsnooze',
  text: 'delete from request_snoozes where organization_id = $1 and user_id = $2 and request_id = $3',
}

export async function unsnooze(db: Queryable, { organizationId, userId, requestId }: Key): Promise<void> {
  await db.execute(unsnoozeStatement, [organizationId, userId, requestId])
}

const sweepStatement: Statement = {
  name: 'inbox_sweep_snoozes',
  text: `delete from request_snoozes where ctid = any (array(
      select ctid from request_snoozes where until <= $1 order by until limit $2 for update skip locked)) and until <= $1
    returning 1`,
}

/** Deletes some that are over; returns how many. For the worker. */
export async function sweepSnoozes(db: Queryable, now: Date, limit: number): Promise<number> {
  return (await db.execute(sweepStatement, [now, limit])).length
}

export interface Draft {
  readonly revision: number
  readonly answer: JsonText
  readonly updatedAt: Date
}

const saveDraftStatement: Statement = {
  name: 'inbox_save_draft',
  text: `with ${open}, oldest as (
      delete from request_drafts where exists (select from open) and organization_id = $1 and user_id = $2 and request_id in (
        select request_id from request_drafts where organization_id = $1 and user_id = $2 and request_id <> $3
        order by updated_at desc offset ${mostDrafts - 1})
    )
    insert into request_drafts (organization_id, user_id, request_id, revision, answer, updated_at)
    select $1, $2, $3, $4, $5, $6 from open
    on conflict (organization_id, request_id, user_id) do update
      set revision = excluded.revision, answer = excluded.answer, updated_at = excluded.updated_at
    returning 1`,
}

/** Replaces the draft of this person; beyond their most, the oldest one goes. False when the request is closed. */
export async function saveDraft(
  db: Queryable,
  { organizationId, userId, requestId }: Key,
  { revision, answer, updatedAt }: Draft,
): Promise<boolean> {
  const values = [organizationId, userId, requestId, revision, answer, updatedAt]
  return (await db.execute(saveDraftStatement, values)).length === 1
}

const findDraftStatement: Statement = {
  name: 'inbox_find_draft',
  text: `select revision, answer, updated_at as "updatedAt" from request_drafts
    where organization_id = $1 and request_id = $2 and user_id = $3`,
}

export async function findDraft(db: Queryable, { organizationId, userId, requestId }: Key): Promise<Draft | null> {
  const [row] = await db.execute<Draft>(findDraftStatement, [organizationId, requestId, userId])
  return row ?? null
}

const deleteDraftStatement: Statement = {
  name: 'inbox_delete_draft',
  text: 'delete from request_drafts where organization_id = $1 and request_id = $2 and user_id = $3',
}

export async function deleteDraft(db: Queryable, { organizationId, userId, requestId }: Key): Promise<void> {
  await db.execute(deleteDraftStatement, [organizationId, requestId, userId])
}

const forgetClosedStatement: Statement = {
  name: 'inbox_forget_closed',
  // Repeats the condition of the index that is for it alone (0028_closed_snoozes.sql).
  text: `with snoozes as (delete from request_snoozes where organization_id = $1 and request_id = any($2::uuid[])
        and request_id <> '00000000-0000-0000-0000-000000000000')
    delete from request_drafts where organization_id = $1 and request_id = any($2::uuid[])`,
}

/** What everybody put aside or began to answer, of requests that are closed. */
export async function forgetClosed(tx: Tx, organizationId: string, requestIds: readonly string[]): Promise<void> {
  await tx.execute(forgetClosedStatement, [organizationId, requestIds])
}

const erasePersonStatement: Statement = {
  name: 'inbox_erase_person',
  text: `with drafts as (delete from request_drafts where organization_id = $1 and user_id = $2),
      views as (delete from saved_views where organization_id = $1 and user_id = $2)
    delete from request_snoozes where organization_id = $1 and user_id = $2`,
}

/** Everything of one person. */
export async function erasePerson(tx: Tx, organizationId: string, userId: string): Promise<void> {
  await tx.execute(erasePersonStatement, [organizationId, userId])
}
