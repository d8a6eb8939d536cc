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
import { type GroupFailure, type GroupResult, type GroupStatement, runGroup } from './statement-group.ts'

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

/** Queries on one transaction may be issued without awaiting each: those of one turn travel together. */
export interface Tx extends Queryable {
  /** The transaction's last statements: COMMIT travels with them instead of waiting for their answers. */
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

const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    (format !== 'binary' && parsers.get(oid)) || pg.types.getTypeParser(oid, format),
}

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
    connectionTimeoutMillis: acquireTimeoutMs,
    idleTimeoutMillis: 60_000,
    application_name: 'hitl',
    // A hung database must not hold callers: the server stops the statement, and the client stops waiting a little later.
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + 2_000,
    idle_in_transaction_session_timeout: 30_000,
    options: sessionSettings,
    types,
  } as pg.PoolConfig)
  pool.on('error', options.onError)

  const nameOf = (statement: Statement): string | undefined => (prepare ? statement.name : undefined)
  const ask = async <Row>(
    name: string | undefined,
    text: string,
    values: readonly unknown[],
  ): Promise<readonly Row[]> => {
    const named = name === undefined ? {} : { name }
    return (await pool.query({ ...named, text, values: [...values] }).catch(translate)).rows as Row[]
  }

  const transaction = async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
    const client = await pool.connect().catch(translate)
    const session = createSession(client, prepare)
    const commits: (() => void)[] = []
    const rollbacks: (() => void)[] = []
    try {
      const result = await work({
        run: <Row>(query: { compile(): CompiledQuery<Row> }) => {
          const { sql, parameters } = query.compile()
          return session.issue<Row>({ name: undefined, text: sql, values: parameters })
        },
        execute: <Row>(statement: Statement, values: readonly unknown[]) =>
          session.issue<Row>({ name: nameOf(statement), text: statement.text, values }),
        last: session.last,
        onCommit: (act) => void commits.push(act),
        onRollback: (act) => void rollbacks.push(act),
      })
      await session.commit()
      session.release()
      for (const act of commits) act()
      return result
    } catch (error) {
      if (!session.isCommitted()) {
        await session.rollBack()
        session.release()
        for (const act of rollbacks) act()
      }
      throw error
    }
  }

  return {
    run: <Row>(query: { compile(): CompiledQuery<Row> }) => {
      const { sql, parameters } = query.compile()
      return ask<Row>(undefined, sql, parameters)
    },
    execute: (statement, values) => ask(nameOf(statement), statement.text, values),
    transaction,
    ping: async () => void (await pool.query('select 1').catch(translate)),
    close: () => pool.end(),
  }
}

interface Session {
  issue<Row>(statement: GroupStatement): Promise<readonly Row[]>
  last(statements: Promise<unknown>): void
  /** Resolves once everything is durable. */
  commit(): Promise<void>
  isCommitted(): boolean
  rollBack(): Promise<void>
  release(): void
}

/** One transaction on one connection: statements that are issued in the same turn make one group, one round trip. */
function createSession(client: pg.PoolClient, prepare: boolean): Session {
  const lasts: Promise<unknown>[] = []
  let pending: { readonly statement: GroupStatement; readonly settle: Settle }[] = []
  let scheduled = false
  let begun = false
  let committed = false
  let broken = false
  const onError = (): void => {
    broken = true
  }
  client.on('error', onError)
  const control = (text: 'begin' | 'commit' | 'rollback'): GroupStatement => ({
    name: prepare ? `transaction_${text}` : undefined,
    text,
    values: [],
  })

  /** `closing`: these are the last statements. If they are also the first, the group is a transaction without BEGIN. */
  const flush = async (closing: boolean): Promise<void> => {
    scheduled = false
    const entries = pending
    pending = []
    const opening = !begun && !closing
    const statements = [
      ...(opening ? [control('begin')] : []),
      ...entries.map((entry) => entry.statement),
      ...(closing && begun ? [control('commit')] : []),
    ]
    begun ||= opening
    if (statements.length === 0) return
    let results: readonly GroupResult[]
    try {
      results = await runGroup(client, statements, types)
    } catch (thrown) {
      const { error, tainted } = thrown as GroupFailure
      broken ||= tainted || sqlState(error) === undefined
      const problem = closing ? outcomeOf(error) : asProblem(error)
      for (const entry of entries) entry.settle.reject(problem)
      throw problem
    }
    // PostgreSQL answers COMMIT of a failed transaction with ROLLBACK and no error.
    if (closing && begun && results.at(-1)?.command !== 'COMMIT') {
      throw new Error('the transaction was rolled back by an earlier error that its work hid')
    }
    const answers = opening ? results.slice(1) : results
    entries.forEach((entry, index) => {
      entry.settle.resolve(answers[index]?.rows ?? [])
    })
  }

  return {
    issue: <Row>(statement: GroupStatement) => {
      const answer = new Promise<readonly unknown[]>((resolve, reject) => {
        pending.push({ statement, settle: { resolve, reject } })
      })
      // Whoever issued it may not be waiting for it any more when the group fails.
      answer.catch(() => {})
      if (!scheduled) {
        scheduled = true
        process.nextTick(() => {
          if (scheduled) flush(false).catch(() => {})
        })
      }
      return answer as Promise<readonly Row[]>
    },
    last: (statements) => {
      statements.catch(() => {})
      lasts.push(statements)
    },
    commit: async () => {
      // In this order, so that the error of an earlier group is told rather than its consequence.
      await Promise.all([...lasts, flush(true)])
      committed = true
    },
    isCommitted: () => committed,
    rollBack: async () => {
      const abandoned = pending
      pending = []
      scheduled = false
      for (const entry of abandoned)
        entry.settle.reject(new Error('the transaction was given up before this statement'))
      if (begun && !broken) await runGroup(client, [control('rollback')], types).catch(onError)
    },
    release: () => {
      client.off('error', onError)
      client.release(broken)
    },
  }
}

interface Settle {
  readonly resolve: (rows: readonly unknown[]) => void
  readonly reject: (error: unknown) => void
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

/** Everything that means "no database just now" as 503; the rest stays as it is and becomes a 500. */
function asProblem(error: unknown): unknown {
  if (error instanceof TypeError || error instanceof RangeError) return error
  const state = sqlState(error)
  if (state !== undefined && !isOutage(state)) return error
  return unavailable('The database does not answer just now. Nothing is lost; try again in a moment.', error)
}

/** A connection that is lost while COMMIT is under way tells nobody whether it happened: "try again" would be a guess. */
function outcomeOf(error: unknown): unknown {
  const problem = asProblem(error)
  if (!(problem instanceof Problem) || sqlState(error) !== undefined) return problem
  return new Problem(
    503,
    'service.outcome_unknown',
    'The database was lost while this was being saved, so it may or may not have happened. ' +
      'Read it before you repeat it, or repeat it with the same Idempotency-Key.',
    { headers: { 'retry-after': '1' }, cause: error },
  )
}

function translate(error: unknown): never {
  throw asProblem(error)
}
