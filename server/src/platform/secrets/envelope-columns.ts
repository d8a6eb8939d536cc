import type { Db, Statement } from '../database/db.ts'
import { installationId } from '../ids.ts'
import type { Place } from './sealed-text.ts'

/** A column that holds sealed values. */
export interface SealedColumn {
  readonly table: string
  readonly column: string
  /**
   * The owner of the rows: each organization (the default), the installation (`organization_id` is `installationId`), or
   * people's accounts, which have no `organization_id`: such a table needs a policy that shows its rows to the resealer.
   */
  readonly of?: 'organizations' | 'installation' | 'accounts'
  /** The column with the row's id, a uuid unless declared as text; default `id`. */
  readonly id?: string
  readonly idType?: 'uuid' | 'text'
  /** For a copy of a value that was sealed for another row; `row` is the column with that row's id. */
  readonly copyOf?: { readonly table: string; readonly column: string; readonly row: string }
}

export interface SealedRow {
  readonly id: string
  readonly sealed: Buffer
  readonly place: Place
}

const firstIds = { uuid: '00000000-0000-0000-0000-000000000000', text: '' } as const

/** The values of a column that are sealed for this organization; null when none can be. */
export function sealedRows(db: Db, described: SealedColumn, organizationId: string) {
  const { table, column, of = 'organizations', id = 'id', idType = 'uuid', copyOf } = described
  if ((of === 'organizations') === (organizationId === installationId)) return null
  const scoped = db.within(of === 'accounts' ? { resealer: true } : { organizationId })
  // Names of tables and columns come from the code, never from outside.
  const own = of === 'accounts' ? '$1::uuid is not null' : 't.organization_id = $1'
  const select: Statement = {
    name: `sealed_page_${table}_${column}`,
    text: `select t.${id} as id, t.${copyOf?.row ?? id} as row, t.${column} as sealed from ${table} t
      where ${own} and t.${column} is not null and t.${id} > $2 order by t.${id} limit $3`,
  }
  const update: Statement = {
    name: `sealed_replace_${table}_${column}`,
    text: `update ${table} t set ${column} = decode(given.after, 'base64')
      from json_to_recordset($2) as given(id ${idType}, before text, after text)
      where ${own} and t.${id} = given.id and t.${column} = decode(given.before, 'base64') returning t.${id}`,
  }
  return {
    /** The next ones by id; null: from the first. */
    page: async (after: string | null, limit: number): Promise<readonly SealedRow[]> => {
      const values = [organizationId, after ?? firstIds[idType], limit]
      const rows = await scoped.execute<{ id: string; row: string; sealed: Buffer }>(select, values)
      const source = { table: copyOf?.table ?? table, column: copyOf?.column ?? column }
      return rows.map(({ id, row, sealed }) => ({ id, sealed, place: { organizationId, ...source, row } }))
    },
    /** Changes each value only if it is still what was read; returns how many were changed. */
    replace: async (changes: readonly { readonly id: string; readonly before: Buffer; readonly after: Buffer }[]) => {
      const given = changes.map((change) => ({
        id: change.id,
        before: change.before.toString('base64'),
        after: change.after.toString('base64'),
      }))
      return (await scoped.execute(update, [organizationId, JSON.stringify(given)])).length
    },
  }
}
