import type { CompiledQuery } from 'kysely'
import {
  type Db,
  type DbOptions,
  openDb,
  type Queryable,
  type Statement,
  type Tx,
} from '../../src/platform/database/db.ts'

/**
 * The database as the service would use it if every store had forgotten its filter by organization: each comparison of an
 * organization_id in its statements is made true. Then row-level security alone keeps organizations apart.
 */
export function openDbWithoutOwnFilter(options: DbOptions): Db & { readonly changed: () => number } {
  const db = openDb(options)
  let changed = 0
  const known = new Map<string, string>()

  const unfiltered = (text: string): string => {
    const before = known.get(text)
    if (before !== undefined) return before
    const after = text
      // `organization_id = $1` as Kysely and this code write it. The parameter stays in use, so that its type is known.
      .replace(/(?:"?\w+"?\.)?"?organization_id"? = \$(\d+)(?:::uuid)?/g, (whole, parameter, at: number) =>
        // In SET it is not a filter.
        /\bset\b[^()]*$/i.test(text.slice(Math.max(0, at - 40), at)) ? whole : `($${parameter}::uuid is not null)`,
      )
      .replace(/\b\w+\.organization_id = (?:wanted|given|after|attempt|held|moved)\.organization_id/g, 'true')
    if (after !== text) changed += 1
    known.set(text, after)
    return after
  }

  const over = (queryable: Queryable): Queryable => ({
    run: <Row>(query: { compile(): CompiledQuery<Row> }) => {
      const compiled = query.compile()
      return queryable.run<Row>({ compile: () => ({ ...compiled, sql: unfiltered(compiled.sql) }) })
    },
    execute: <Row>(statement: Statement, values: readonly unknown[]) =>
      queryable.execute<Row>({ name: statement.name, text: unfiltered(statement.text) }, values),
  })

  return {
    ...db,
    within: (scope) => over(db.within(scope)),
    transaction: (scope, work) =>
      db.transaction(scope, (tx) =>
        work({ ...over(tx), last: tx.last, onCommit: tx.onCommit, onRollback: tx.onRollback } satisfies Tx),
      ),
    changed: () => changed,
  }
}
