import type { Writable } from 'node:stream'
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely'
import pg from 'pg'
import { Problem, unavailable } from './problem.ts'

/** Where the database is: fields as node-postgres takes them (`host` may be a Unix socket folder). */
export type Connection = pg.ClientConfig

/** A hot statement, written once in a store: the name makes PostgreSQL parse and plan it once per connection. */
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

/** Queries on one transaction may be issued without awaiting each: they are pipelined, and answered in order. */
export interface Tx extends Queryable {
  /** The transaction's last statements: COMMIT travels right behind them instead of waiting for their answers. */
  last(statements: Promise<unknown>): void
  /** `work` runs once the commit is known to be durable. */
  onCommit(work: () => void): void
  /** `work` runs when the transaction is known to have left nothing behind, or its fate is unknown. */
  onRollback(work: () => void): void
}

export interface Db extends Queryable {
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /** Throws 503 when the database does not answer. */
  ping(): Promise<void>
  close(): Promise<void>
}

/** Kysely builds and types the queries of a store, this file runs them: so one connection can pipeline. */
export function queriesOn<Tables>(): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  })
}

export function inTransaction<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  return db.transaction(work)
}

let knownDay = ''
let knownDayMs = 0

/**
 * A timestamptz in UTC, as PostgreSQL writes it (`2026-01-31 12:00:00.123+00`; trailing zeros are left out). Reads the day
 * once and the rest by its digits: a seventh of what `new Date(text)` takes, and every row has five of them.
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
  [114, (text) => text], // json stays the text it is: see JsonText
  [20, Number], // bigint: only counts, far below 2^53
])

/**
 * Every statement of the service is an index look-up by design. Without these a plan that was cached while the tables were
 * empty would scan them when they are full (docs/decisions/0004-planner-settings-of-the-pool.md).
 */
const sessionSettings =
  '-c timezone=UTC -c jit=off -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off'

export interface DbOptions {
  readonly connection: Connection
  readonly poolSize: number
  readonly statementTimeoutMs?: number
  /** Waiting for a free connection, or for a new one, before 503. */
  readonly acquireTimeoutMs?: number
  /** False behind a transaction-mode pooler that cannot keep prepared statements. */
  readonly prepare?: boolean
  readonly onError: (error: Error) => void
}

export function openDb(options: DbOptions): Db {
  const { poolSize, statementTimeoutMs = 10_000, acquireTimeoutMs = 5_000, prepare = true } = options
  const pool = new pg.Pool({
    ...options.connection,
    max: poolSize,
    pipeline: true,
    connectionTimeoutMillis: acquireTimeoutMs,
    idleTimeoutMillis: 60_000,
    application_name: 'hitl',
    // A hung database must not hold callers: the server stops the statement, and the client stops waiting a little later.
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + 2_000,
    idle_in_transaction_session_timeout: 30_000,
    options: sessionSettings,
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        (format !== 'binary' && parsers.get(oid)) || pg.types.getTypeParser(oid, format),
    },
  } as pg.PoolConfig)
  pool.on('error', options.onError)

  const queryable = (client: pg.Pool | pg.PoolClient): Queryable => ({
    run: async <Row>(query: { compile(): CompiledQuery<Row> }) => {
      const { sql, parameters } = query.compile()
      gather(client)
      const result = await client.query(sql, [...parameters]).catch(translate)
      return result.rows as Row[]
    },
    execute: async <Row>(statement: Statement, values: readonly unknown[]) => {
      const named = prepare ? { name: statement.name } : {}
      gather(client)
      const result = await client.query({ ...named, text: statement.text, values: [...values] }).catch(translate)
      return result.rows as Row[]
    },
  })

  const transaction = async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
    const client = await pool.connect().catch(translate)
    const lasts: Promise<unknown>[] = []
    const commits: (() => void)[] = []
    const rollbacks: (() => void)[] = []
    let broken = false
    const onError = (): void => {
      broken = true
    }
    client.on('error', onError)
    try {
      // Not awaited: the first statement of `work` travels in the same packet.
      gather(client)
      const begun = client.query('begin').catch(translate)
      begun.catch(() => {})
      const tx: Tx = {
        ...queryable(client),
        last: (statements) => {
          statements.catch(() => {})
          lasts.push(statements)
        },
        onCommit: (act) => void commits.push(act),
        onRollback: (act) => void rollbacks.push(act),
      }
      const result = await work(tx)
      gather(client)
      const committing = client.query('commit').catch(translate)
      committing.catch(() => {})
      await Promise.all([begun, ...lasts])
      const committed = await committing
      // PostgreSQL answers COMMIT of a failed transaction with ROLLBACK and no error.
      if (committed.command !== 'COMMIT') throw new Error('the transaction was rolled back by an earlier error in it')
      for (const act of commits) act()
      return result
    } catch (error) {
      if (!broken) await client.query('rollback').catch(onError)
      for (const act of rollbacks) act()
      throw error
    } finally {
      client.off('error', onError)
      client.release(broken)
    }
  }

  return {
    ...queryable(pool),
    transaction,
    ping: async () => void (await pool.query('select 1').catch(translate)),
    close: () => pool.end(),
  }
}

/** Statements issued in one turn leave in one packet, and PostgreSQL reads them at once: one system call, not one each. */
function gather(client: pg.Pool | pg.PoolClient): void {
  const stream = (client as { connection?: { stream: Writable } }).connection?.stream
  if (stream === undefined || stream.writableCorked > 0) return
  stream.cork()
  process.nextTick(() => stream.uncork())
}

/** SQLSTATE of an error that came from PostgreSQL itself; undefined for the driver's and the network's. */
export function sqlState(error: unknown): string | undefined {
  const source = error instanceof Problem ? error.cause : error
  const code = (source as { code?: unknown } | null)?.code
  return source instanceof pg.DatabaseError && typeof code === 'string' ? code : undefined
}

/** True when PostgreSQL itself refused, which rolls back; a lost connection leaves the fate of a commit unknown. */
export function provesRollback(error: unknown): boolean {
  const state = sqlState(error)
  return state !== undefined && !isOutage(state)
}

/** Classes 08, 28, 3D, 53, 57, 58 and 25006 (PostgreSQL, appendix A): the database is away, closed to us, full, busy or read-only. */
function isOutage(state: string): boolean {
  return /^(08|28|3D|53|57|58)/.test(state) || state === '25006'
}

/** Turns everything that means "no database just now" into 503; the rest stays as it is and becomes a 500. */
function translate(error: unknown): never {
  const state = sqlState(error)
  if (error instanceof TypeError || error instanceof RangeError) throw error
  if (state === undefined || isOutage(state)) {
    throw unavailable('The database does not answer just now. Nothing is lost; try again in a moment.', error)
  }
  throw error
}
