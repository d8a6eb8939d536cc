import type { Queryable, Statement } from '../../platform/database/db.ts'

/** What people call the person, agent or key with this id. */
export interface Named {
  readonly id: string
  readonly kind: 'person' | 'agent' | 'api_key'
  readonly name: string | null
  /** Of a person. */
  readonly email: string | null
}

const namesStatement: Statement = {
  name: 'identity_names',
  // By their primary keys one by one: planned while a table is empty, `id = any(...)` may read a whole organization.
  text: `select found.* from (select distinct unnest($2::uuid[])) as wanted(id) cross join lateral (
    (select id, 'person' as kind, name, email from users where organization_id = $1 and id = wanted.id offset 0)
    union all
    (select id, 'agent', name, null from agents where organization_id = $1 and id = wanted.id offset 0)
    union all
    (select id, 'api_key', name, null from api_keys where organization_id = $1 and id = wanted.id offset 0)) found`,
}

/** Those of `ids` that the organization has, as they are called now. */
export async function namesOf(
  db: Queryable,
  organizationId: string,
  ids: readonly string[],
): Promise<readonly Named[]> {
  return db.execute<Named>(namesStatement, [organizationId, ids])
}
