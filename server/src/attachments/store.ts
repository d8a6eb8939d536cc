import type { Actor } from '../facts/fact.ts'
import { type Queryable, type Statement, sql } from '../platform/database/db.ts'
import type { Earlier, Idempotency } from '../platform/idempotency.ts'
import type { Attachment, Storage, StoredAttachment } from './attachment.ts'

/** A file whose upload has begun. */
export interface Begun {
  readonly organizationId: string
  readonly id: string
  readonly requestId: string
  readonly addedBy: Pick<Actor, 'kind' | 'id'>
  readonly name: string
  readonly storage: Storage
}

export async function begin(db: Queryable, begun: Begun, now: Date, discardAt: Date): Promise<void> {
  const { addedBy } = begun
  const row = {
    organization_id: begun.organizationId,
    id: begun.id,
    request_id: begun.requestId,
    added_by_kind: addedBy.kind as 'agent' | 'person',
    added_by_id: addedBy.id ?? '',
    name: begun.name,
    // Known once its first bytes have arrived.
    media_type: 'application/octet-stream',
    storage: begun.storage,
    discard_at: discardAt,
    created_at: now,
  }
  await db.run(sql.insertInto('attachments').values(row))
}

/** How many files of its own kind a request has: an agent's, or one person's that no answer has. */
export async function countOf(
  db: Queryable,
  { organizationId, requestId, addedBy }: Pick<Begun, 'organizationId' | 'requestId' | 'addedBy'>,
  { withUnfinished }: { readonly withUnfinished: boolean },
): Promise<number> {
  const query = sql
    .selectFrom('attachments')
    .select('added_at')
    .where('organization_id', '=', organizationId)
    .where('request_id', '=', requestId)
    .where('added_by_kind', '=', addedBy.kind as 'agent' | 'person')
    .where('sealed_at', 'is', null)
  const isPerson = addedBy.kind === 'person'
  const rows = await db.run(isPerson ? query.where('added_by_id', '=', addedBy.id ?? '') : query)
  return withUnfinished ? rows.length : rows.filter(({ added_at }) => added_at !== null).length
}

const usedStatement: Statement = {
  name: 'attachments_used',
  text: 'select bytes from attachment_usage where organization_id = $1',
}

/** What all files of an organization come to. */
export async function used(db: Queryable, organizationId: string): Promise<number> {
  const [row] = await db.execute<{ bytes: number | string }>(usedStatement, [organizationId])
  return Number(row?.bytes ?? 0)
}

const addChunkStatement: Statement = {
  name: 'attachments_add_chunk',
  text: `insert into attachment_chunks (organization_id, attachment_id, number, bytes) values ($1, $2, $3, $4)`,
}

export async function addChunk(
  db: Queryable,
  { organizationId, id }: Pick<Begun, 'organizationId' | 'id'>,
  number: number,
  bytes: Buffer,
): Promise<void> {
  await db.execute(addChunkStatement, [organizationId, id, number, bytes])
}

const readChunkStatement: Statement = {
  name: 'attachments_read_chunk',
  text: `select bytes from attachment_chunks where organization_id = $1 and attachment_id = $2 and number = $3`,
}

/** Null when there is none. */
export async function readChunk(
  db: Queryable,
  { organizationId, id }: Pick<Begun, 'organizationId' | 'id'>,
  number: number,
): Promise<Buffer | null> {
  const [row] = await db.execute<{ bytes: Buffer }>(readChunkStatement, [organizationId, id, number])
  return row?.bytes ?? null
}

export async function dropChunks(tx: Queryable, { organizationId, id }: Pick<Begun, 'organizationId' | 'id'>) {
  const query = sql
    .deleteFrom('attachment_chunks')
    .where('organization_id', '=', organizationId)
    .where('attachment_id', '=', id)
  await tx.run(query)
}

const useStatement: Statement = {
  name: 'attachments_use',
  text: `insert into attachment_usage as used (organization_id, bytes) values ($1, $2)
    on conflict (organization_id) do update set bytes = used.bytes + excluded.bytes
    returning bytes`,
}

/** Adds what a file comes to, and returns what all of the organization come to now. */
export async function use(tx: Queryable, organizationId: string, bytes: number): Promise<number> {
  const [row] = await tx.execute<{ bytes: number | string }>(useStatement, [organizationId, bytes])
  return Number(row?.bytes)
}

export interface Finished {
  readonly attachment: Attachment
  readonly now: Date
  /** Null: it stays. */
  readonly discardAt: Date | null
  readonly idempotency: Idempotency | null
}

/** From here on it is there. False when it was given up meanwhile. */
export async function finish(
  tx: Queryable,
  organizationId: string,
  { attachment, now, discardAt, idempotency }: Finished,
): Promise<boolean> {
  const query = sql
    .updateTable('attachments')
    .set({
      media_type: attachment.mediaType,
      size: attachment.size,
      sha256: Buffer.from(attachment.sha256, 'hex'),
      added_at: now,
      discard_at: discardAt,
      idempotency_key: idempotency?.key ?? null,
      idempotency_hash: idempotency?.hash ?? null,
    })
    .where('organization_id', '=', organizationId)
    .where('id', '=', attachment.id)
    .where('added_at', 'is', null)
    .returning('id')
  return (await tx.run(query)).length === 1
}

/** Gives up an upload that is not finished. */
export async function giveUp(db: Queryable, { organizationId, id }: Begun): Promise<void> {
  const query = sql
    .deleteFrom('attachments')
    .where('organization_id', '=', organizationId)
    .where('id', '=', id)
    .where('added_at', 'is', null)
  await db.run(query)
}

// biome-ignore format: one line per group
const shown = [
  'organization_id', 'id', 'request_id', 'added_by_kind', 'added_by_id', 'name', 'media_type', 'storage', 'size', 'sha256',
  'sealed_at', 'idempotency_hash',
] as const

const finished = (organizationId: string, requestId: string) =>
  sql
    .selectFrom('attachments')
    .select(shown)
    .where('organization_id', '=', organizationId)
    .where('request_id', '=', requestId)
    .where('added_at', 'is not', null)

type Row = Awaited<ReturnType<ReturnType<typeof finished>['executeTakeFirstOrThrow']>>

function toStored(row: Row): StoredAttachment {
  return {
    organizationId: row.organization_id,
    id: row.id,
    requestId: row.request_id,
    addedBy: { kind: row.added_by_kind as 'agent' | 'person', id: row.added_by_id },
    name: row.name,
    mediaType: row.media_type,
    storage: row.storage as Storage,
    size: Number(row.size),
    sha256: row.sha256?.toString('hex') ?? '',
    isSealed: row.sealed_at !== null,
  }
}

export async function find(
  db: Queryable,
  organizationId: string,
  requestId: string,
  id: string,
): Promise<StoredAttachment | null> {
  const [row] = await db.run(finished(organizationId, requestId).where('id', '=', id))
  return row === undefined ? null : toStored(row)
}

// Locked under the lock of their requests, in a fixed order.
const selectAddedByPeople = (lock: string): string =>
  `select ${shown.join(', ')} from attachments
    where organization_id = $1 and id = any($2::uuid[]) and added_by_kind = 'person' and added_at is not null order by id ${lock}`
const addedByPeopleStatement: Statement = { name: 'attachments_added_by_people', text: selectAddedByPeople('') }
const lockAddedByPeopleStatement: Statement = {
  name: 'attachments_lock_added_by_people',
  text: selectAddedByPeople('for update'),
}

/** Those of `ids` that people added. */
export async function addedByPeople(
  db: Queryable,
  organizationId: string,
  ids: readonly string[],
  locked: boolean,
): Promise<readonly StoredAttachment[]> {
  const statement = locked ? lockAddedByPeopleStatement : addedByPeopleStatement
  return (await db.execute<Row>(statement, [organizationId, ids])).map(toStored)
}

export async function byIdempotencyKey(
  tx: Queryable,
  { organizationId, requestId, addedBy }: Begun,
  key: string,
): Promise<Earlier<StoredAttachment> | null> {
  const query = finished(organizationId, requestId)
    .where('added_by_id', '=', addedBy.id ?? '')
    .where('idempotency_key', '=', key)
  const [row] = await tx.run(query)
  return row === undefined ? null : { made: toStored(row), hash: row.idempotency_hash }
}

const sealStatement: Statement = {
  name: 'attachments_seal',
  text: `update attachments set sealed_at = $3, discard_at = null where organization_id = $1 and id = any($2::uuid[])`,
}

/** An answer has taken them: they stay. */
export async function seal(tx: Queryable, organizationId: string, ids: readonly string[], now: Date): Promise<void> {
  await tx.execute(sealStatement, [organizationId, ids, now])
}

const freeStatement: Statement = {
  name: 'attachments_free',
  text: `update attachments set sealed_at = null, discard_at = $3
    where organization_id = $1 and id = any($2::uuid[]) and sealed_at is not null`,
}

/** No answer has them any more. */
export async function free(
  tx: Queryable,
  organizationId: string,
  ids: readonly string[],
  discardAt: Date,
): Promise<void> {
  await tx.execute(freeStatement, [organizationId, ids, discardAt])
}

export async function remove(tx: Queryable, organizationId: string, requestId: string, id: string): Promise<void> {
  const query = sql
    .deleteFrom('attachments')
    .where('organization_id', '=', organizationId)
    .where('request_id', '=', requestId)
    .where('id', '=', id)
  await tx.run(query)
}

/** All files of these requests; `addedById`: only those of one person. */
export async function removeAll(
  tx: Queryable,
  organizationId: string,
  requestIds: readonly string[],
  addedById: string | null = null,
): Promise<void> {
  if (requestIds.length === 0) return
  const all = sql
    .deleteFrom('attachments')
    .where('organization_id', '=', organizationId)
    .where('request_id', 'in', requestIds)
  await tx.run(addedById === null ? all : all.where('added_by_id', '=', addedById))
}

// The time once more: a file that an answer takes at this moment is looked at again once that is committed, and stays.
const sweepStatement: Statement = {
  name: 'attachments_sweep',
  text: `delete from attachments where ctid = any (array(
      select ctid from attachments where discard_at <= $1 order by discard_at limit $2))
      and discard_at <= $1
    returning id`,
}

/** Deletes what is due to be discarded; returns how many. */
export async function sweep(db: Queryable, now: Date, atMost: number): Promise<number> {
  return (await db.execute(sweepStatement, [now, atMost])).length
}

const discardedStatement: Statement = {
  name: 'attachments_discarded_objects',
  text: `select organization_id as "organizationId", id from discarded_objects order by discarded_at limit $1`,
}

export interface DiscardedObject {
  readonly organizationId: string
  readonly id: string
}

export function discardedObjects(db: Queryable, atMost: number): Promise<readonly DiscardedObject[]> {
  return db.execute<DiscardedObject>(discardedStatement, [atMost])
}

const forgetStatement: Statement = { name: 'attachments_forget_object', text: 'select hitl_forget_object($1, $2)' }

export async function forgetObject(db: Queryable, { organizationId, id }: DiscardedObject): Promise<void> {
  await db.execute(forgetStatement, [organizationId, id])
}
