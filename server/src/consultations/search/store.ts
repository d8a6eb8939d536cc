import type { Queryable, Statement, Tx } from '../../platform/database/db.ts'
import type { Searched } from './document.ts'
import { searchedCharacters } from './document.ts'

const lockText = `hashtextextended('hitl search ' || $1::uuid, 0)`

const lockStatement: Statement = { name: 'search_lock', text: `select pg_advisory_xact_lock(${lockText})` }
const tryLockStatement: Statement = {
  name: 'search_try_lock',
  text: `select pg_try_advisory_xact_lock(${lockText}) as locked`,
}

/**
 * Until the transaction ends, nobody else fills or empties documents of the organization: what is erased meanwhile was read before
 * that, and would be written again.
 */
export async function tryLock(tx: Tx, organizationId: string): Promise<boolean> {
  const [row] = await tx.execute<{ locked: boolean }>(tryLockStatement, [organizationId])
  return row?.locked === true
}

export interface Progress {
  readonly filledTo: string | null
  readonly followedTo: Date
  readonly followedId: string
  readonly documents: number
}

const progressStatement: Statement = {
  name: 'search_progress',
  text: `select filled_to as "filledTo", followed_to as "followedTo", followed_id as "followedId", documents
    from request_search_progress where organization_id = $1`,
}

export async function progressOf(tx: Tx, organizationId: string): Promise<Progress | null> {
  const [row] = await tx.execute<Progress>(progressStatement, [organizationId])
  return row ?? null
}

const saveProgressStatement: Statement = {
  name: 'search_progress_save',
  text: `insert into request_search_progress (organization_id, filled_to, followed_to, followed_id, documents)
    values ($1, $2, $3, $4, $5) on conflict (organization_id) do update set filled_to = excluded.filled_to,
      followed_to = excluded.followed_to, followed_id = excluded.followed_id, documents = excluded.documents`,
}

export async function saveProgress(tx: Tx, organizationId: string, progress: Progress): Promise<void> {
  const { filledTo, followedTo, followedId, documents } = progress
  await tx.execute(saveProgressStatement, [organizationId, filledTo, followedTo, followedId, documents])
}

const addPartStatement: Statement = {
  name: 'search_parts_add',
  text: `insert into request_search_parts (organization_id, first_id, number)
    select $1, $2, coalesce((select number + 1 from request_search_parts where organization_id = $1
      order by first_id desc limit 1), 0)
    on conflict (organization_id, first_id) do nothing`,
}

export async function addPart(tx: Tx, organizationId: string, firstId: string): Promise<void> {
  await tx.execute(addPartStatement, [organizationId, firstId])
}

const newestStatement: Statement = {
  name: 'search_newest',
  text: `select request_id as id from request_search_documents where organization_id = $1
    order by request_id desc limit 1`,
}

/** The greatest id that is in. */
export async function newest(tx: Tx, organizationId: string): Promise<string | null> {
  const [row] = await tx.execute<{ id: string }>(newestStatement, [organizationId])
  return row?.id ?? null
}

/** A request that is to be filled in, and when it changed. */
export interface Stale {
  readonly id: string
  readonly updatedAt: Date
}

const dueStatement: Statement = {
  name: 'search_due',
  text: `select request_id as id from request_search_documents where organization_id = $1 and due
    order by request_id limit $2`,
}

export async function due(tx: Tx, organizationId: string, most: number): Promise<readonly { readonly id: string }[]> {
  return tx.execute(dueStatement, [organizationId, most])
}

const nextStatement: Statement = {
  name: 'search_next',
  text: 'select id from consultation_requests where organization_id = $1 and id > $2 order by id limit $3',
}

export async function next(
  tx: Tx,
  organizationId: string,
  after: string,
  most: number,
): Promise<readonly { readonly id: string }[]> {
  return tx.execute(nextStatement, [organizationId, after, most])
}

const changedStatement: Statement = {
  name: 'search_changed',
  text: `select id, updated_at as "updatedAt" from consultation_requests
    where organization_id = $1 and updated_at >= $2 and updated_at <= $4 and updated_at > '-infinity'
      and (updated_at > $2 or id > $3)
    order by updated_at, id limit $5`,
}

export async function changed(
  tx: Tx,
  organizationId: string,
  { followedTo, followedId }: Progress,
  until: Date,
  most: number,
): Promise<readonly Stale[]> {
  return tx.execute(changedStatement, [organizationId, followedTo, followedId, until, most])
}

const cut = (column: string): string => `left(${column}::text, ${searchedCharacters})`

// The answer that closed it, once it is released: until then its agent must not find it by what was answered.
const textsStatement: Statement = {
  name: 'search_texts',
  text: `select c.id, c.agent_id as "agentId", c.erased_at is not null as "isErased", c.title,
      ${cut('c.description')} as description, ${cut('c.justification')} as justification, ${cut('c.context')} as context,
      ${cut('c.action')} as action, c.tags, c.run_id as "runId", ${cut('a.comment')} as comment,
      ${cut('c.outcome_detail')} as "outcomeDetail", ${cut('c.outcome_data')} as "outcomeData", p.number as part
    from unnest($2::uuid[]) as wanted(id)
    cross join lateral (select * from consultation_requests c where c.organization_id = $1 and c.id = wanted.id offset 0) c
    left join lateral (select a.comment from consultation_answers a where c.held_until is null and a.organization_id = $1
      and a.request_id = c.id and a.revision = c.revision and a.responder_id = c.responder_id offset 0) a on true
    cross join lateral (select p.number from request_search_parts p where p.organization_id = $1 and p.first_id <= c.id
      order by p.first_id desc limit 1) p`,
}

export interface Texts extends Searched {
  readonly agentId: string
  readonly isErased: boolean
  readonly part: number
}

export async function texts(tx: Tx, organizationId: string, ids: readonly string[]): Promise<readonly Texts[]> {
  return tx.execute(textsStatement, [organizationId, ids])
}

export interface Document {
  readonly id: string
  readonly agent: string
  readonly document: string
}

const saveStatement: Statement = {
  name: 'search_documents_save',
  text: `insert into request_search_documents as d (organization_id, request_id, agent_id, document)
    select $1, made.id, made.agent, made.document::tsvector
    from json_to_recordset($2) as made(id uuid, agent uuid, document text)
    on conflict (organization_id, request_id) do update set document = excluded.document, due = false
      where d.document <> excluded.document or d.due
    returning xmax = 0 as added`,
}

/** Returns how many are new. */
export async function save(tx: Tx, organizationId: string, made: readonly Document[]): Promise<number> {
  if (made.length === 0) return 0
  const rows = await tx.execute<{ added: boolean }>(saveStatement, [organizationId, JSON.stringify(made)])
  return rows.filter(({ added }) => added).length
}

const forgetStatement: Statement = {
  name: 'search_documents_forget',
  text: 'delete from request_search_documents where organization_id = $1 and request_id = any($2::uuid[])',
}

export async function forget(tx: Tx, organizationId: string, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await tx.execute(forgetStatement, [organizationId, ids])
}

/** For the transaction that erases a request. */
export async function erase(tx: Tx, organizationId: string, ids: readonly string[]): Promise<void> {
  await tx.execute(lockStatement, [organizationId])
  await forget(tx, organizationId, ids)
}

const emptyStatement: Statement = {
  name: 'search_documents_empty',
  text: `update request_search_documents set document = '', due = true
    where organization_id = $1 and request_id = any($2::uuid[])`,
}

/** For the transaction that erases a part of them: they are made again without it. */
export async function empty(tx: Tx, organizationId: string, ids: readonly string[]): Promise<void> {
  await tx.execute(lockStatement, [organizationId])
  await tx.execute(emptyStatement, [organizationId, ids])
}

const behindStatement: Statement = {
  name: 'search_behind',
  text: 'select organization_id as id, behind from hitl_search_behind($1, $2, $3)',
}

/** The next organizations, and whether something of them is to be filled in; in the scope of a worker. */
export async function behind(
  db: Queryable,
  after: string,
  atMost: number,
  until: Date,
): Promise<readonly { readonly id: string; readonly behind: boolean }[]> {
  return db.execute(behindStatement, [after, atMost, until])
}

const clearStatement: Statement = {
  name: 'search_clear',
  text: `with parts as (delete from request_search_parts where organization_id = $1)
    delete from request_search_progress where organization_id = $1`,
}

/** Everything of the organization is made again; until then nothing of it is found, for documents are only found in their parts. */
export async function clear(tx: Tx, organizationId: string): Promise<void> {
  await tx.execute(lockStatement, [organizationId])
  await tx.execute(clearStatement, [organizationId])
}
