import {
  CompiledQuery,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely'
import pg from 'pg'
import { asProblem, translate } from './errors.ts'
import type { Schema } from './schema.gen.ts'
import { type Scope, scopeStatement } from './scope.ts'
import type { GroupStatement } from './statement-group.ts'
import { type StatementSent, statementsSent } from './statements-sent.ts'
import { createSession } from './transaction.ts'

export type { Scope }

/** Where the database is: fields as node-postgres takes them (`host` may be a Unix socket folder). */
export type Connection = pg.ClientConfig

/** A frequent statement, written once in a store: its name makes PostgreSQL parse and plan it once per connection. */
export interface Statement {
  readonly name: string
  readonly text: string
}

export interface Queryable {
  /** Runs a query built with Kysely. */
  run<Row>(query: { compile(): CompiledQuery<Row> }): Promise<readonly Row[]>
  /** Runs a prepared statement. */
  execute<Row>(statement: Statement, values: readonly unknown[]): Promise<readonly Row[]>
}

/** Queries of one transaction may be issued without awaiting each: those of one turn of the event loop are sent together. */
export interface Tx extends Queryable {
  /** The transaction's last statements: COMMIT is sent along instead of waiting for their results. */
  last(statements: Promise<unknown>): void
  /** `work` runs once the commit is known to be durable. */
  onCommit(work: () => void): void
  /** `work` runs when the transaction was rolled back, or its fate is unknown. */
  onRollback(work: () => void): void
}

export interface Db {
  /** Runs single statements, each in a transaction of its own, on the rows of this scope. */
  within(scope: Scope): Queryable
  transaction<T>(scope: Scope, work: (tx: Tx) => Promise<T>): Promise<T>
  /** Throws 503 when the database does not respond. */
  ping(): Promise<void>
  /** Throws 503 when nothing can be written; cheap, and leaves nothing behind. */
  tryWriting(): Promise<void>
  /** Of the pool, now. */
  connections(): Connections
  close(): Promise<void>
}

export interface Connections {
  readonly inUse: number
  readonly most: number
  /** Callers that wait for one. */
  readonly waiting: number
}

/** Kysely builds and types the queries of a store; this file runs them, so that one connection can pipeline. */
export const sql = new Kysely<Schema>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
})

/** For `run`: a text that is planned for these values, because there are too many of its kind to prepare each, or a kept plan may be bad. */
export function plannedFor<Row>(values: readonly unknown[], text: string) {
  return { compile: () => CompiledQuery.raw(text, [...values]) as CompiledQuery<Row> }
}

export function inTransaction<T>(db: Db, scope: Scope, work: (tx: Tx) => Promise<T>): Promise<T> {
  return db.transaction(scope, work)
}

let knownDay = ''
let knownDayMs = 0

/**
 * A timestamptz in UTC, as PostgreSQL writes it (`2026-01-31 12:00:00.123+00`, without trailing zeros). Caches the day and
 * reads the rest digit by digit: a seventh of the time of `new Date(text)`, and every row has five of them.
 */
export function parseTimestamp(text: string): Date {
  if (text.charCodeAt(10) !== 0x20 || !text.endsWith('+00')) return new Date(text)
  const day = text.slice(0, 10)
  if (day !== knownDay) {
    knownDay = day
    knownDayMs = Date.parse(`${day}T00:00:00Z`)
  }
  const two = (at: number): number => (text.charCodeAt(at) - 0x30) * 10 + text.charCodeAt(at + 1) - 0x30
  const seconds = two(11) * 3_600 + two(14) * 60 + two(17)
  const fraction = text.length > 22 ? Math.trunc(Number(text.slice(19, -3)) * 1_000) : 0
  return new Date(knownDayMs + seconds * 1_000 + fraction)
}

const parsers = new Map<number, (text: string) => unknown>([
  [1184, parseTimestamp],
  [114, (text) => text], // json stays text: see JsonText
  [20, Number], // bigint: only counts, far below 2^53
])

/**
 * `lookups`: every statement is an index look-up by design, and a plan that was cached while the tables were empty must not
 * scan them when they are full. `free`: for search and analysis, where the values decide which plan is good
 * (docs/decisions/0004-planner-settings-of-the-pool.md).
 */
const planSettings = {
  lookups: { enable_seqscan: 'off', enable_hashjoin: 'off', enable_mergejoin: 'off', enable_bitmapscan: 'off' },
  free: { plan_cache_mode: 'force_custom_plan' },
} as const

const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    (format !== 'binary' && parsers.get(oid)) || pg.types.getTypeParser(oid, format),
}

/**
 * Two refusals that reading alone does not meet. A statement that changes rows, here none, is refused by a server that only
 * reads. Rows beyond work_mem go to a temporary file on the database's disk, half a megabyte, which a full disk refuses; a
 * row of a table might still find room in a page that exists.
 */
const written = `begin; set local work_mem = '64kB'; delete from rate_limits where false;
  select count(*) from generate_series(1, 20000); commit`

export interface DbOptions {
  readonly connection: Connection
  readonly poolSize: number
  readonly statementTimeoutMs?: number
  /** The time to wait for a free or new connection before 503. */
  readonly acquireTimeoutMs?: number
  /** A connection that nothing used for this long is closed. */
  readonly idleMs?: number
  /** False behind a transaction-mode pooler: nothing is kept with the session then, and every transaction carries its settings. */
  readonly prepare?: boolean
  /** How PostgreSQL may plan this pool's statements; by default as `lookups`. */
  readonly plans?: keyof typeof planSettings
  /** The role for SET ROLE in each transaction; null when the role that signs in is already the application's. */
  readonly role?: string | null
  /** Hears of every failure, also those of idle connections. */
  readonly onError: (error: unknown) => void
}

const settingsOf = (plans: keyof typeof planSettings) => ({ timezone: 'UTC', jit: 'off', ...planSettings[plans] })

/** What the driver sets at the start of each session. */
export function sessionStart(plans: keyof typeof planSettings, statementTimeoutMs: number): pg.ClientConfig {
  const startUp = Object.entries(settingsOf(plans)).map(([name, value]) => `-c ${name}=${value}`)
  // A hung database must not keep callers waiting: the server stops the statement, and the client gives up a little later.
  const timeouts = { statement_timeout: statementTimeoutMs, idle_in_transaction_session_timeout: 30_000 }
  return { ...timeouts, options: startUp.join(' ') }
}

export function openDb(options: DbOptions): Db {
  const { poolSize, statementTimeoutMs = 10_000, acquireTimeoutMs = 5_000, prepare = true, role = null } = options
  const { plans = 'lookups', idleMs = 60_000 } = options
  const pool = new pg.Pool({
    application_name: 'hitl',
    ...options.connection,
    max: poolSize,
    connectionTimeoutMillis: acquireTimeoutMs,
    idleTimeoutMillis: idleMs,
    query_timeout: statementTimeoutMs + 2_000,
    // PgBouncer refuses start-up parameters that it does not know.
    ...(prepare ? sessionStart(plans, statementTimeoutMs) : {}),
    types,
  } as pg.PoolConfig)
  let closing = false
  pool.on('error', (error) => {
    // The pool does not wait for the ends of its connections: an embedded server may stop before them.
    if (!closing) options.onError(asProblem(error))
  })
  // Between pool and session no error listener is attached: a connection that is lost just then would end the process.
  pool.on('connect', (client) => client.on('error', () => {}))

  const settingsPerTransaction = prepare ? {} : { ...settingsOf(plans), statement_timeout: String(statementTimeoutMs) }
  const queryable = (issue: <Row>(statement: GroupStatement) => Promise<readonly Row[]>): Queryable => ({
    run: (query) => {
      const { sql, parameters } = query.compile()
      return told(/\w+/.exec(sql)?.[0] ?? '', issue({ name: undefined, text: sql, values: parameters }))
    },
    execute: ({ name, text }, values) => told(name, issue({ name: prepare ? name : undefined, text, values })),
  })

  const told = <T>(name: string, answer: Promise<T>): Promise<T> => {
    if (statementsSent.hasSubscribers) statementsSent.publish({ name, answer } satisfies StatementSent)
    return answer
  }
  const refuse = (error: unknown): never => {
    const problem = asProblem(error)
    options.onError(problem)
    throw problem
  }
  const ask = async <Row>(scope: Scope, statement: GroupStatement): Promise<readonly Row[]> => {
    const client = await pool.connect().catch(refuse)
    const session = createSession(client, prepare, types)
    try {
      // No BEGIN: both are sent together, which makes them one transaction (statement-group.ts).
      session.issue(scopeStatement(scope, prepare, role, settingsPerTransaction))
      const answer = session.issue<Row>(statement)
      await session.commit(asProblem)
      return await answer
    } catch (error) {
      options.onError(error)
      throw error
    } finally {
      session.release()
    }
  }

  const transaction = async <T>(scope: Scope, work: (tx: Tx) => Promise<T>): Promise<T> => {
    const client = await pool.connect().catch(refuse)
    const session = createSession(client, prepare, types)
    const commits: (() => void)[] = []
    const rollbacks: (() => void)[] = []
    try {
      session.issue(scopeStatement(scope, prepare, role, settingsPerTransaction))
      const result = await work({
        ...queryable(session.issue),
        last: session.last,
        onCommit: (act) => void commits.push(act),
        onRollback: (act) => void rollbacks.push(act),
      })
      await session.commit()
      session.release()
      for (const act of commits) act()
      return result
    } catch (error) {
      options.onError(error)
      if (!session.isCommitted()) {
        await session.rollBack()
        session.release()
        for (const act of rollbacks) act()
      }
      throw error
    }
  }

  return {
    within: (scope) => queryable((statement) => ask(scope, statement)),
    transaction,
    ping: async () => void (await pool.query('select 1').catch(translate)),
    tryWriting: async () => void (await pool.query(written).catch(translate)),
    connections: () => ({ inUse: pool.totalCount - pool.idleCount, most: poolSize, waiting: pool.waitingCount }),
    close: () => {
      closing = true
      return pool.end()
    },
  }
}
