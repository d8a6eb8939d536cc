import type { CompiledQuery } from 'kysely'
import {
  type Db,
  type DbOptions,
  openDb,
  type Queryable,
  type Scope,
  type Statement,
  type Tx,
} from '../../src/platform/database/db.ts'

/** One run of a statement. */
export interface Run {
  /** The statement's name, or the text of a query that has none. */
  readonly statement: string
  /** Index entries and rows of sequential scans that PostgreSQL read, including those for triggers and foreign keys. */
  readonly read: number
  readonly returned: number
  /** The number of elements in its JSON and array parameters. */
  readonly given: number
}

/** `force_generic_plan` keeps the plan of the first run; `force_custom_plan` makes a new one for each run. */
export type PlanCacheMode = 'force_generic_plan' | 'force_custom_plan'

// What this backend has read and not yet reported to the statistics, because it only reports between transactions.
const readSoFar: Statement = {
  name: 'meter_read_so_far',
  text: `select set_config('plan_cache_mode', $1, true),
      (select sum(pg_stat_get_xact_tuples_returned(oid)) from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'i'))::float8 as read`,
}

/** A database that counts how many rows each statement reads. */
export function createMeter() {
  const runs: Run[] = []
  let mode: PlanCacheMode = 'force_generic_plan'
  const measured = async <Row>(
    tx: Queryable,
    { statement, values }: { readonly statement: string; readonly values: readonly unknown[] },
    issue: () => Promise<readonly Row[]>,
  ): Promise<readonly Row[]> => {
    // All three in one turn, so that they are sent as one group, as the statement alone would be.
    const look = () => tx.execute<{ read: number }>(readSoFar, [mode])
    const [before, rows, after] = await Promise.all([look(), issue(), look()])
    const read = (after[0]?.read ?? Number.NaN) - (before[0]?.read ?? 0)
    runs.push({
      statement,
      read,
      returned: rows.length,
      given: values.reduce<number>((sum, it) => sum + sizeOf(it), 0),
    })
    return rows
  }
  const metered = (queries: Queryable): Queryable => ({
    run: <Row>(query: { compile(): CompiledQuery<Row> }) => {
      const { sql, parameters } = query.compile()
      return measured(queries, { statement: sql, values: parameters }, () => queries.run<Row>(query))
    },
    execute: <Row>(statement: Statement, values: readonly unknown[]) =>
      measured(queries, { statement: statement.name, values }, () => queries.execute<Row>(statement, values)),
  })
  const open = (options: DbOptions): Db => {
    // Plans end with their connection, and the tables take longer to grow than a connection may be idle.
    const db = openDb({ ...options, idleMs: 3_600_000 })
    const transaction = <T>(scope: Scope, work: (tx: Tx) => Promise<T>): Promise<T> =>
      db.transaction(scope, (tx) => work({ ...tx, ...metered(tx) }))
    return {
      ...db,
      transaction,
      within: (scope) => ({
        run: (query) => transaction(scope, (tx) => tx.run(query)),
        execute: (statement, values) => transaction(scope, (tx) => tx.execute(statement, values)),
      }),
    }
  }
  return {
    open,
    /** The runs of `work`, with plans of this kind. */
    measure: async (plans: PlanCacheMode, work: () => Promise<void>): Promise<readonly Run[]> => {
      mode = plans
      runs.length = 0
      await work()
      return runs.slice()
    },
  }
}

function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length
  return typeof value === 'string' && value.startsWith('[') ? (JSON.parse(value) as readonly unknown[]).length : 0
}
