import type { Selectable } from 'kysely'
import { type Queryable, type Statement, sql } from '../../platform/database/db.ts'
import { first } from '../../platform/database/first.ts'
import type { Schema } from '../../platform/database/schema.gen.ts'
import type { Earlier, Idempotency } from '../../platform/idempotency.ts'
import { fieldsOf, names, valuesOf } from '../../platform/names.ts'
import { mayEnter } from '../accounts/store.ts'
import type { Role } from '../principal.ts'
import { deletionQuietMinutes, type Organization } from './organization.ts'

type Row = Selectable<Schema['organizations']>

const fixedColumns = names('organization_id, created_at')
const changeableColumns = names('name, require_step_up, delete_after, deletion_requested_by, updated_at')

function toOrganization(row: Row): Organization {
  return fieldsOf(row, [...fixedColumns, ...changeableColumns])
}

// Reading

/** The installation's first organization; the scope is the worker's. */
export async function defaultOrganization(db: Queryable): Promise<string | null> {
  const rows = await db.run(sql.selectFrom('organizations').select('organization_id').where('is_default', '=', true))
  return rows[0]?.organization_id ?? null
}

/** The ids of all organizations; the scope is the worker's. */
export async function organizationIds(db: Queryable): Promise<readonly string[]> {
  const rows = await db.run(sql.selectFrom('organizations').select('organization_id').where('deleted_at', 'is', null))
  return rows.map((row) => row.organization_id)
}

export async function organizationById(
  db: Queryable,
  organizationId: string,
  lock = false,
): Promise<Organization | null> {
  const query = sql
    .selectFrom('organizations')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('deleted_at', 'is', null)
  return first(db.run(lock ? query.forUpdate() : query), toOrganization)
}

export interface OwnMembership {
  readonly organization: Organization
  readonly userId: string
  readonly role: Role
}

const ownStatement: Statement = {
  name: 'organizations_own',
  text: `select o.*, u.id as user_id, u.role from users u join organizations o on o.organization_id = u.organization_id
    where u.account_id = $1 and ${mayEnter} order by u.created_at, u.id`,
}

/** Those that an account can enter, with its role in each; the scope is the account. Oldest membership first. */
export async function organizationsOfAccount(db: Queryable, accountId: string): Promise<readonly OwnMembership[]> {
  const rows = await db.execute<Row & { readonly user_id: string; readonly role: Role }>(ownStatement, [accountId])
  return rows.map((row) => ({ organization: toOrganization(row), userId: row.user_id, role: row.role }))
}

// Creating and changing

export interface Creation {
  /** The account that creates it; null for the installation's first. */
  readonly createdBy: string | null
  readonly idempotency: Idempotency | null
}

/** False when the account has already used this Idempotency-Key. */
export async function insertOrganization(tx: Queryable, made: Organization, by: Creation): Promise<boolean> {
  const query = sql
    .insertInto('organizations')
    .values({
      ...valuesOf(made, [...fixedColumns, ...changeableColumns]),
      created_by: by.createdBy,
      idempotency_key: by.idempotency?.key ?? null,
      idempotency_hash: by.idempotency?.hash ?? null,
      is_default: by.createdBy === null,
    })
    .onConflict((conflict) =>
      conflict.columns(['created_by', 'idempotency_key']).where('idempotency_key', 'is not', null).doNothing(),
    )
    .returning('organization_id')
  return (await tx.run(query)).length === 1
}

/** The scope is the account. */
export async function organizationByIdempotencyKey(
  db: Queryable,
  accountId: string,
  idempotencyKey: string,
): Promise<Earlier<Organization> | null> {
  const query = sql
    .selectFrom('organizations')
    .selectAll()
    .where('created_by', '=', accountId)
    .where('idempotency_key', '=', idempotencyKey)
  const [row] = await db.run(query)
  return row === undefined ? null : { made: toOrganization(row), hash: row.idempotency_hash }
}

export async function saveOrganization(tx: Queryable, organization: Organization): Promise<void> {
  await tx.run(
    sql
      .updateTable('organizations')
      .set(valuesOf(organization, changeableColumns))
      .where('organization_id', '=', organization.organizationId),
  )
}

// The switch of its agents

export interface AgentsSwitch {
  readonly status: Row['agents_status']
  readonly since: Date | null
  readonly by: string | null
  readonly reason: string | null
}

const agentsSwitchColumns = `agents_status as status, agents_paused_at as since, agents_paused_by as by,
  agents_pause_reason as reason`
const agentsSwitchStatement: Statement = {
  name: 'organizations_agents_switch',
  text: `select ${agentsSwitchColumns} from organizations where organization_id = $1`,
}
const lockAgentsSwitchStatement: Statement = {
  name: 'organizations_lock_agents_switch',
  text: `${agentsSwitchStatement.text} for no key update`,
}

export async function agentsSwitch(db: Queryable, organizationId: string, lock = false): Promise<AgentsSwitch> {
  const [row] = await db.execute<AgentsSwitch>(lock ? lockAgentsSwitchStatement : agentsSwitchStatement, [
    organizationId,
  ])
  if (row === undefined) throw new Error('the organization of a caller is gone')
  return { status: row.status, since: row.since, by: row.by, reason: row.reason }
}

export async function saveAgentsSwitch(tx: Queryable, organizationId: string, after: AgentsSwitch): Promise<void> {
  const { status, since, by, reason } = after
  const turned = { agents_status: status, agents_paused_at: since, agents_paused_by: by, agents_pause_reason: reason }
  await tx.run(sql.updateTable('organizations').set(turned).where('organization_id', '=', organizationId))
}

// Deleting

function isDue(now: Date) {
  const quietSince = new Date(now.getTime() - deletionQuietMinutes * 60_000)
  return sql
    .selectFrom('organizations')
    .where('delete_after', '<=', now)
    .where('cleared_at', 'is', null)
    .where((where) => where.or([where('deleted_at', 'is', null), where('deleted_at', '<=', quietSince)]))
}

/** Organizations whose grace period is over, and those whose deletion has begun and been quiet; the scope is the worker's. */
export async function organizationsToDelete(db: Queryable, now: Date): Promise<readonly string[]> {
  const query = isDue(now).select('organization_id').orderBy('delete_after')
  return (await db.run(query)).map((row) => row.organization_id)
}

/** Locks one that is due; null when it is no longer due, or another process has it. */
export async function lockDue(
  tx: Queryable,
  organizationId: string,
  now: Date,
): Promise<{ readonly isBegun: boolean } | null> {
  const query = isDue(now).select('deleted_at').where('organization_id', '=', organizationId).forUpdate().skipLocked()
  const [row] = await tx.run(query)
  return row === undefined ? null : { isBegun: row.deleted_at !== null }
}

/** The row stays, so that the id is never used again; what people wrote into it is removed. */
export async function markDeleted(tx: Queryable, organizationId: string, now: Date): Promise<void> {
  const redacted = {
    name: 'Deleted',
    agents_pause_reason: null,
    created_by: null,
    idempotency_key: null,
    idempotency_hash: null,
    deletion_requested_by: null,
  }
  await tx.run(
    sql
      .updateTable('organizations')
      .set({ ...redacted, is_default: false, deleted_at: now })
      .where('organization_id', '=', organizationId),
  )
}

export async function markCleared(tx: Queryable, organizationId: string, now: Date): Promise<void> {
  await tx.run(sql.updateTable('organizations').set({ cleared_at: now }).where('organization_id', '=', organizationId))
}

const deleteRowsStatement: Statement = {
  name: 'organizations_delete_rows',
  text: 'select hitl_delete_rows($1) as deleted',
}

/** Deletes up to `atMost` rows of the scope's organization, and returns how many. Call it until it returns 0. */
export async function deleteRows(tx: Queryable, atMost: number): Promise<number> {
  const [row] = await tx.execute<{ deleted: number }>(deleteRowsStatement, [atMost])
  return row?.deleted ?? 0
}

const lockSetup: Statement = { name: 'identity_lock_setup', text: 'select pg_advisory_xact_lock($1)' }

/** Serializes the first start of several processes, and the creation of the first administrator. */
export async function lockFirstSetup(tx: Queryable): Promise<void> {
  await tx.execute(lockSetup, [0x48495401])
}
