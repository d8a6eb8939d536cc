import type { Queryable, Statement, Tx } from '../platform/database/db.ts'
import { first } from '../platform/database/first.ts'
import { mostViews, type View } from './view.ts'

const columns = `organization_id as "organizationId", id, user_id as "userId", name, query, created_at as "createdAt",
  updated_at as "updatedAt"`
const own = 'organization_id = $1 and id = $2 and user_id = $3'

/** Whose view it is, and which. */
export type ViewKey = Pick<View, 'organizationId' | 'userId' | 'id'>

const lockStatement: Statement = {
  name: 'inbox_lock_person',
  text: 'select from users where organization_id = $1 and id = $2 for no key update',
}
const insertStatement: Statement = {
  name: 'inbox_insert_view',
  text: `insert into saved_views (organization_id, id, user_id, name, query, created_at, updated_at)
    select $1, $2, $3, $4, $5, $6, $6
    where (select count(*) from (select from saved_views where organization_id = $1 and user_id = $3
      limit ${mostViews}) own) < ${mostViews}
    returning 1`,
}

/** False when this person has as many as they may. They are locked, so that two calls do not count at the same time. */
export async function insertView(tx: Tx, view: View): Promise<boolean> {
  const { organizationId, id, userId, name, query, createdAt } = view
  const locked = tx.execute(lockStatement, [organizationId, userId])
  const inserted = tx.execute(insertStatement, [organizationId, id, userId, name, query, createdAt])
  await locked
  return (await inserted).length === 1
}

const listStatement: Statement = {
  name: 'inbox_views',
  text: `select ${columns} from saved_views where organization_id = $1 and user_id = $2 order by id limit ${mostViews}`,
}

/** Oldest first: there are never more than a few. */
export function viewsOf(db: Queryable, organizationId: string, userId: string): Promise<readonly View[]> {
  return db.execute<View>(listStatement, [organizationId, userId])
}

const findStatement: Statement = {
  name: 'inbox_find_view',
  text: `select ${columns} from saved_views where ${own}`,
}

export function viewOf(db: Queryable, { organizationId, userId, id }: ViewKey): Promise<View | null> {
  return first(db.execute<View>(findStatement, [organizationId, id, userId]), asItIs)
}

const asItIs = (view: View): View => view

const saveStatement: Statement = {
  name: 'inbox_save_view',
  text: `update saved_views set name = $4, query = $5, updated_at = $6 where ${own} returning ${columns}`,
}

/** As it is now; null when this person has none with the id. */
export function saveView(
  db: Queryable,
  { organizationId, userId, id }: ViewKey,
  { name, query, updatedAt }: Pick<View, 'name' | 'query' | 'updatedAt'>,
): Promise<View | null> {
  return first(db.execute<View>(saveStatement, [organizationId, id, userId, name, query, updatedAt]), asItIs)
}

const deleteStatement: Statement = {
  name: 'inbox_delete_view',
  text: `delete from saved_views where ${own} returning 1`,
}

/** Whether there was one. */
export async function deleteView(db: Queryable, { organizationId, userId, id }: ViewKey): Promise<boolean> {
  return (await db.execute(deleteStatement, [organizationId, id, userId])).length === 1
}
