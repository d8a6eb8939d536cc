import type { Selectable } from 'kysely'
import { type Queryable, type Statement, sql, type Tx } from '../platform/database/db.ts'
import { first } from '../platform/database/first.ts'
import type { Schema } from '../platform/database/schema.gen.ts'
import { fieldsOf, names } from '../platform/names.ts'
import { mostViews, type View } from './view.ts'

const columns = names('organization_id, id, user_id, name, query, created_at, updated_at')

function toView(row: Selectable<Schema['saved_views']>): View {
  return fieldsOf(row, columns)
}

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

/** Oldest first: there are never more than a few. */
export async function viewsOf(db: Queryable, organizationId: string, userId: string): Promise<readonly View[]> {
  const query = sql
    .selectFrom('saved_views')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('user_id', '=', userId)
    .orderBy('id')
    .limit(mostViews)
  return (await db.run(query)).map(toView)
}

export async function viewOf(db: Queryable, { organizationId, userId, id }: ViewKey): Promise<View | null> {
  const query = sql
    .selectFrom('saved_views')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .where('id', '=', id)
    .where('user_id', '=', userId)
  return first(db.run(query), toView)
}

/** As it is now; null when this person has none with the id. */
export async function saveView(
  db: Queryable,
  { organizationId, userId, id }: ViewKey,
  { name, query, updatedAt }: Pick<View, 'name' | 'query' | 'updatedAt'>,
): Promise<View | null> {
  const update = sql
    .updateTable('saved_views')
    .set({ name, query, updated_at: updatedAt })
    .where('organization_id', '=', organizationId)
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .returningAll()
  return first(db.run(update), toView)
}

/** Whether there was one. */
export async function deleteView(db: Queryable, { organizationId, userId, id }: ViewKey): Promise<boolean> {
  const query = sql
    .deleteFrom('saved_views')
    .where('organization_id', '=', organizationId)
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .returning('id')
  return (await db.run(query)).length === 1
}
