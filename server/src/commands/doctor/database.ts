import type { Config } from '../../config.ts'
import { signingKeys } from '../../identity/signing-keys/store.ts'
import { type Examination, examine, hearsNotifications } from '../../platform/database/examination.ts'
import { installationId } from '../../platform/ids.ts'
import { checkDatabase, type DatabaseCheck, type Look } from '../config-check-database.ts'
import { type Finding, findingsOf } from './finding.ts'

/** A hint that takes longer is as good as none: polling finds everything within a second. */
const hintMs = 1_000

/** For how long a transaction may be open before it is in the way of seals and of vacuum. */
const patienceSeconds = 60

export interface DatabaseFindings {
  readonly findings: readonly Finding[]
  /** The ids of its signing keys. */
  readonly kids: readonly string[]
}

/** What `config check --connect` finds, and how the database is set up and fares. */
export async function databaseFindings(config: Config, patience = patienceSeconds): Promise<DatabaseFindings> {
  let more: readonly Finding[] = []
  let kids: readonly string[] = []
  const look: Look = async (connection, db) => {
    const hears = await hearsNotifications(connection, hintMs)
    more = examined(config, await examine(connection, patience), hears)
    if (db === null) return
    kids = (await signingKeys(db.within({ organizationId: installationId }))).map(({ key }) => key.kid)
  }
  const check = await checkDatabase(config, look)
  return { findings: [...checked(check), ...more], kids }
}

const nameOf = (code: string): string => {
  if (code === 'config.invalid') return 'database.refused-start'
  return code.startsWith('database.') ? code : `database.${code}`
}

function checked({ facts, warnings }: DatabaseCheck): readonly Finding[] {
  const error = facts.error as { code: string; message: string; next?: string } | undefined
  const missing = (facts.missing_migrations ?? []) as readonly string[]
  const held = facts.callbacks_held_since
  return findingsOf([
    [
      error !== undefined,
      nameOf(error?.code ?? ''),
      'wrong',
      error?.message ?? '',
      error?.next ?? 'Do what it says: with NODE_ENV=production the service does not start like this.',
    ],
    ...warnings.map(
      ({ setting, message }) =>
        [true, 'database.weak', 'weak', `${setting} ${message}`, `Change the database or ${setting}.`] as const,
    ),
    [
      missing.length > 0,
      'database.migrations',
      'weak',
      `The database lacks ${missing.length} migrations (${missing[0]} ...).`,
      'Back up, then run "hitl migrate", or start the new version.',
    ],
    [
      held != null,
      'database.restored-copy',
      'weak',
      `This is a restored copy, which sends neither callbacks nor mail (since ${String(held)}).`,
      'Once the original is stopped for good: hitl restore --release.',
    ],
  ])
}

function examined(config: Config, examination: Examination, hears: boolean): readonly Finding[] {
  const { connections, notDurable, readOnly, timeouts, stuck, bloated, unvacuumed, ungranted } = examination
  // Of each process: its pools, one that listens, one more for commands. The parent of WORKERS has pools too.
  const needed = (config.WORKERS > 1 ? config.WORKERS + 1 : 1) * (config.DATABASE_POOL + 2)
  const statementMs = config.DATABASE_STATEMENT_SECONDS * 1_000
  return findingsOf([
    [
      needed > connections,
      'database.connections',
      'wrong',
      `The processes of this host may open ${needed} connections, and the database gives ${connections}: beyond that, calls get 503.`,
      'Raise max_connections of the database, or lower DATABASE_POOL or WORKERS. Count every host.',
    ],
    [
      notDurable.length > 0,
      'database.not-durable',
      'wrong',
      `${notDurable.join(', ')} off: what was acknowledged may be gone after a power cut.`,
      `Set ${notDurable.map((name) => `${name} = on`).join(', ')} in the database.`,
    ],
    [
      readOnly,
      'database.read-only',
      'wrong',
      'The database takes no writes: it is a standby, or default_transaction_read_only is on.',
      'Let DATABASE_URL name the primary, or reset that setting of the role and the database.',
    ],
    [
      timeouts.statement_timeout > 0 && timeouts.statement_timeout < statementMs,
      'database.statement-timeout',
      'weak',
      `New sessions begin with a statement_timeout of ${timeouts.statement_timeout} ms: migrations, backups and restores are stopped by it.`,
      'Reset it for this role: alter role ... reset statement_timeout. The service sets its own (DATABASE_STATEMENT_SECONDS).',
    ],
    [
      timeouts.lock_timeout > 0 && timeouts.lock_timeout < 1_000,
      'database.lock-timeout',
      'weak',
      `New sessions begin with a lock_timeout of ${timeouts.lock_timeout} ms: acts that wait for each other fail instead.`,
      'Reset it for this role: alter role ... reset lock_timeout.',
    ],
    [
      timeouts.idle_session_timeout > 0,
      'database.idle-session-timeout',
      'weak',
      `The database ends sessions that are idle for ${timeouts.idle_session_timeout} ms: the session that listens is lost again and again.`,
      'Reset it for this role: alter role ... set idle_session_timeout = 0.',
    ],
    [
      stuck !== null,
      'database.stuck-transaction',
      'wrong',
      `A transaction has been open for ${Math.round(stuck?.seconds ?? 0)} s: ${stuck?.what} of "${stuck?.application}". It holds seals and vacuum back.`,
      'End it: select pg_terminate_backend(PID), or rollback prepared, as its role or a superuser.',
    ],
    [
      bloated.length > 0,
      'database.bloat',
      'weak',
      `Mostly dead rows: ${bloated.map(({ table, dead, live }) => `${table} (${dead} dead, ${live} live)`).join(', ')}.`,
      'Run: vacuum (analyze) TABLE. If it comes back, look for transactions that stay open, and give autovacuum more workers.',
    ],
    [
      !examination.autovacuum || unvacuumed.length > 0,
      'database.autovacuum',
      'wrong',
      `autovacuum is off${unvacuumed.length > 0 ? ` for ${unvacuumed.join(', ')}` : ''}: tables grow and slow down without end.`,
      'Turn it on: autovacuum = on in the database; alter table ... reset (autovacuum_enabled).',
    ],
    [
      ungranted.length > 0,
      'database.grants',
      'wrong',
      `The role hitl_app may not read ${ungranted.join(', ')}: calls that need it fail with 500.`,
      'Run "hitl migrate" as the owner of the tables, which grants what is missing once schema_access is empty (delete from schema_access).',
    ],
    [
      !hears,
      'database.listen',
      'weak',
      'A NOTIFY does not arrive, as behind a pooler that shares sessions: waits and callbacks of other processes come up to a second late.',
      'Let DATABASE_URL name the database itself, or a pool in session mode.',
    ],
  ])
}
