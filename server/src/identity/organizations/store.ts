import type { Generated, Selectable } from 'kysely'
import { type Queryable, queriesOn, type Statement } from '../../platform/db.ts'
import type { Role } from '../principal.ts'
import type { Organization } from './organization.ts'

interface Tables {
  organizations: {
    organization_id: string
    name: string
    require_step_up: Generated<boolean>
    delete_after: Date | null
    deletion_requested_by: string | null
    deleted_at: Date | null
    created_at: Generated<Date>
    updated_at: Generated<Date>
  }
  users: { organization_id: string; id: string; account_id: string; role: Role; is_active: boolean }
}

const sql = queriesOn<Tables>()

function toOrganization(row: Selectable<Tables['organizations']>): Organization {
  return {
    organizationId: row.organization_id,
    name: row.name,
    requireStepUp: row.require_step_up,
    deleteAfter: row.delete_after,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export async function firstOrganization(db: Queryable): Promise<string | null> {
  const query = sql.selectFrom('organizations').select('organization_id').where('deleted_at', 'is', null)
  const rows = await db.run(query.orderBy('created_at').limit(1))
  return rows[0]?.organization_id ?? null
}

export async function exists(tx: Queryable, organizationId: string): Promise<boolean> {
  const query = sql.selectFrom('organizations').select('organization_id').where('organization_id', '=', organizationId)
  return (await tx.run(query)).length === 1
}

/** All there are; the scope is the worker's. */
export async function organizationIds(db: Queryable): Promise<readonly string[]> {
  const rows = await db.run(sql.selectFrom('organizations').select('organization_id').where('deleted_at', 'is', null))
  return rows.map((row) => row.organization_id)
}

export async function insertOrganization(tx: Queryable, organizationId: string, name: string): Promise<void> {
  await tx.run(sql.insertInto('organizations').values({ organization_id: organizationId, name }))
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
  const [row] = await db.run(lock ? query.forUpdate() : query)
  return row === undefined ? null : toOrganization(row)
}

/** Those that an account belongs to, with the role in each; the scope is the account. Oldest membership first. */
export async function organizationsOfAccount(
  db: Queryable,
  accountId: string,
): Promise<readonly { readonly organization: Organization; readonly userId: string; readonly role: Role }[]> {
  const rows = await db.run(
    sql
      .selectFrom('organizations as o')
      .innerJoin('users as u', 'u.organization_id', 'o.organization_id')
      .selectAll('o')
      .select(['u.id as user_id', 'u.role'])
      .where('u.account_id', '=', accountId)
      .where('u.is_active', '=', true)
      .where('o.deleted_at', 'is', null)
      .orderBy('u.id'),
  )
  return rows.map((row) => ({ organization: toOrganization(row), userId: row.user_id, role: row.role }))
}

export async function saveOrganization(
  tx: Queryable,
  organization: Organization,
  deletedBy: string | null,
): Promise<void> {
  await tx.run(
    sql
      .updateTable('organizations')
      .set({
        name: organization.name,
        require_step_up: organization.requireStepUp,
        delete_after: organization.deleteAfter,
        deletion_requested_by: deletedBy,
        updated_at: organization.updatedAt,
      })
      .where('organization_id', '=', organization.organizationId),
  )
}

/** Organizations whose days of grace are over; the scope is the worker's. */
export async function organizationsToDelete(db: Queryable, now: Date): Promise<readonly string[]> {
  const query = sql
    .selectFrom('organizations')
    .select('organization_id')
    .where('delete_after', '<=', now)
    .where('deleted_at', 'is', null)
    .limit(10)
  return (await db.run(query)).map((row) => row.organization_id)
}

const deleteRowsStatement: Statement = {
  name: 'organizations_delete_rows',
  text: 'select hitl_delete_rows($1) as deleted',
}

/** Deletes up to `atMost` rows of the scope's organization; answers how many: to be called until there are none. */
export async function deleteRows(tx: Queryable, atMost: number): Promise<number> {
  const [row] = await tx.execute<{ deleted: number }>(deleteRowsStatement, [atMost])
  return row?.deleted ?? 0
}

/** The row stays, so that the id is never used again; the name goes. */
export async function markDeleted(tx: Queryable, organizationId: string, now: Date): Promise<void> {
  await tx.run(
    sql
      .updateTable('organizations')
      .set({ name: 'Deleted', deleted_at: now, deletion_requested_by: null })
      .where('organization_id', '=', organizationId),
  )
}

const lockSetup: Statement = { name: 'identity_lock_setup', text: 'select pg_advisory_xact_lock($1)' }

/** Makes the first start of several processes at once, and the making of the first admin, one after the other. */
export async function lockFirstSetup(tx: Queryable): Promise<void> {
  await tx.execute(lockSetup, [0x48495401])
}
