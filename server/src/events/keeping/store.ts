import type { Queryable, Statement } from '../../platform/database/db.ts'
import type { ChainKey } from '../seals/seal.ts'
import { lockChain } from '../seals/store.ts'
import { bySubject } from '../store.ts'

/** How long an organization's events are kept. */
export interface Policy {
  /** Null: for ever. */
  readonly retentionDays: number | null
  /** While it is on, nothing is purged and nothing is erased. */
  readonly legalHold: boolean
}

const policyStatement: Statement = {
  name: 'audit_policy',
  text: 'select retention_days, legal_hold from audit_policies where organization_id = $1',
}

export async function policy(db: Queryable, organizationId: string): Promise<Policy> {
  const [row] = await db.execute<{ retention_days: number | null; legal_hold: boolean }>(policyStatement, [
    organizationId,
  ])
  return { retentionDays: row?.retention_days ?? null, legalHold: row?.legal_hold ?? false }
}

const lockOrganizationStatement: Statement = {
  name: 'audit_policy_organization',
  text: 'select from organizations where organization_id = $1 for key share',
}

/** The policy, locked until the transaction ends; nothing is purged, erased or deleted meanwhile either. */
export async function lockPolicy(tx: Queryable, organizationId: string): Promise<Policy> {
  // The organization, which the first policy refers to, is locked before the chain: deletion of an organization takes the same order.
  await tx.execute(lockOrganizationStatement, [organizationId])
  return policyBehindLock(tx, organizationId)
}

/** The same when the organization is already locked, or the policy stays unchanged. */
export async function policyBehindLock(tx: Queryable, organizationId: string): Promise<Policy> {
  await lockChain(tx, organizationId)
  return policy(tx, organizationId)
}

const saveStatement: Statement = {
  name: 'audit_policy_save',
  text: `insert into audit_policies (organization_id, retention_days, legal_hold, updated_at) values ($1, $2, $3, $4)
    on conflict (organization_id) do update set retention_days = $2, legal_hold = $3, updated_at = $4`,
}

export async function savePolicy(tx: Queryable, organizationId: string, next: Policy, now: Date): Promise<void> {
  await tx.execute(saveStatement, [organizationId, next.retentionDays, next.legalHold, now])
}

const subjectStatement: Statement = {
  name: 'audit_erasable_of_subject',
  // An erasure is about the subject too, but its actor and address are not the subject's data.
  text: `select era, xact, id from events where organization_id = $1 and subject_id = $2 and erasable is not null
    and ${bySubject} and kind <> 'audit.erased' order by occurred_at, id limit $3`,
}

/** Events about this subject with something left to erase. */
export async function erasableOf(
  tx: Queryable,
  organizationId: string,
  subjectId: string,
  limit: number,
): Promise<readonly ChainKey[]> {
  return tx.execute<ChainKey>(subjectStatement, [organizationId, subjectId, limit])
}

const invitationsStatement: Statement = {
  name: 'audit_invitations_of_user',
  text: `select record::jsonb->'after'->>'invitation_id' as id from events where organization_id = $1 and subject_id = $2
    and ${bySubject} and kind in ('user.registered', 'user.joined')`,
}

/** The invitations that let this person in: their events are about this person too, though they have another subject. */
export async function invitationsOf(db: Queryable, organizationId: string, userId: string): Promise<readonly string[]> {
  const rows = await db.execute<{ id: string | null }>(invitationsStatement, [organizationId, userId])
  return rows.flatMap(({ id }) => (id === null ? [] : [id]))
}

const actorStatement: Statement = {
  name: 'audit_erasable_of_actor',
  text: `
    with looked as materialized (
      select era, xact, id, actor_id, erasable is not null as whole,
        case when kind = 'request.responded' then subject_id end as decided from events
      where organization_id = $1 and (era, xact, id) > ($3, $4, $5) and (era, xact, id) <= ($6, $7, $8)
      order by era, xact, id limit $9
    )
    select era, xact, id, decided, actor_id is not distinct from $2 and whole as wanted from looked order by era, xact, id`,
}

/** `decided`: the request that the event decided. */
export interface ActorKey extends ChainKey {
  readonly decided: string | null
}

/** One step along the chain, because actors have no index. `wanted`: events of this actor that can be erased. */
export async function stepForActor(
  tx: Queryable,
  organizationId: string,
  actorId: string,
  from: ChainKey,
  until: ChainKey,
  size: number,
): Promise<{ readonly wanted: readonly ActorKey[]; readonly last: ChainKey | null }> {
  const rows = await tx.execute<ActorKey & { wanted: boolean }>(actorStatement, [
    organizationId,
    actorId,
    from.era,
    from.xact,
    from.id,
    until.era,
    until.xact,
    until.id,
    size,
  ])
  return { wanted: rows.filter((row) => row.wanted), last: rows.at(-1) ?? null }
}

const erasableStatement: Statement = {
  name: 'audit_erasable',
  text: `
    with looked as materialized (
      select era, xact, id, erasable is not null as whole from events
      where organization_id = $1 and (era, xact, id) > ($2, $3, $4) order by era, xact, id limit $5
    )
    select era, xact, id, whole as wanted from looked order by era, xact, id`,
}

/** One step along the chain. `wanted`: events that can be erased. */
export async function stepOverErasable(
  tx: Queryable,
  organizationId: string,
  from: ChainKey,
  size: number,
): Promise<{ readonly wanted: readonly ChainKey[]; readonly last: ChainKey | null }> {
  const values = [organizationId, from.era, from.xact, from.id, size]
  const rows = await tx.execute<ChainKey & { wanted: boolean }>(erasableStatement, values)
  return { wanted: rows.filter((row) => row.wanted), last: rows.at(-1) ?? null }
}

const newestStatement: Statement = {
  name: 'audit_newest_event',
  text: `select era, xact, id from events where organization_id = $1 order by era desc, xact desc, id desc limit 1`,
}

export async function newest(db: Queryable, organizationId: string): Promise<ChainKey | null> {
  return (await db.execute<ChainKey>(newestStatement, [organizationId]))[0] ?? null
}

const eraseStatement: Statement = { name: 'audit_erase', text: 'select id from hitl_audit_erase($1) as id' }

/** Returns the ids of the events erased now. PostgreSQL refuses it under legal hold. */
export async function erase(tx: Queryable, keys: readonly ChainKey[]): Promise<readonly string[]> {
  const wanted = keys.map(({ era, xact, id }) => ({ era, xact, id }))
  return (await tx.execute<{ id: string }>(eraseStatement, [JSON.stringify(wanted)])).map((row) => row.id)
}

const retainersStatement: Statement = {
  name: 'audit_retainers',
  text: 'select organization_id from audit_policies where retention_days is not null and not legal_hold',
}

/** Organizations with a retention and without a legal hold; in the scope of a worker. */
export async function organizationsWithRetention(db: Queryable): Promise<readonly string[]> {
  const rows = await db.execute<{ organization_id: string }>(retainersStatement, [])
  return rows.map((row) => row.organization_id)
}

export interface Purged {
  readonly events: number
  readonly upToSeal: number
  readonly upToPosition: number
}

const purgeStatement: Statement = { name: 'audit_purge', text: 'select * from hitl_audit_purge($1)' }

/** Deletes whole batches that are older than the retention, at most `atMost` events or one batch; null when there are none. */
export async function purge(tx: Queryable, atMost: number): Promise<Purged | null> {
  const [row] = await tx.execute<{ events_purged: number; up_to_seal: number; up_to_position: number }>(
    purgeStatement,
    [atMost],
  )
  if (row === undefined || row.events_purged === 0) return null
  return { events: row.events_purged, upToSeal: row.up_to_seal, upToPosition: row.up_to_position }
}
