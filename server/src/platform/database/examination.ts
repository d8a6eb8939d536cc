import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { applicationRole } from './application-role.ts'
import { withClient } from './client.ts'
import type { Connection } from './db.ts'

/** How a database is set up and fares, as far as this role is told. */
export interface Examination {
  /** What roles that are no superusers may open. */
  readonly connections: number
  /** Settings that make a commit survive a power cut, and that are off. */
  readonly notDurable: readonly string[]
  /** It takes no writes: a standby, or set so. */
  readonly readOnly: boolean
  /** Timeouts that a new session begins with, in ms; 0: none. */
  readonly timeouts: Readonly<Record<'statement_timeout' | 'idle_session_timeout' | 'lock_timeout', number>>
  readonly autovacuum: boolean
  /** Tables without autovacuum. */
  readonly unvacuumed: readonly string[]
  readonly bloated: readonly { readonly table: string; readonly dead: number; readonly live: number }[]
  /** The transaction that has been open the longest, if that is longer than was asked for. */
  readonly stuck: { readonly what: string; readonly application: string; readonly seconds: number } | null
  /** Tables that the application's role may not read. */
  readonly ungranted: readonly string[]
  readonly bytes: number
}

const settings = `select name, setting from pg_settings where name in ('max_connections', 'superuser_reserved_connections',
  'reserved_connections', 'fsync', 'full_page_writes', 'synchronous_commit', 'transaction_read_only', 'statement_timeout',
  'idle_session_timeout', 'lock_timeout', 'autovacuum')`

const tables = `select
  array(select c.relname::text from pg_class c where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
    and c.reloptions::text ~ 'autovacuum_enabled=(false|off|no|0)' order by 1 limit 10) as unvacuumed,
  array(select c.relname::text from pg_class c, pg_roles r where c.relnamespace = current_schema()::regnamespace
    and c.relkind = 'r' and c.relrowsecurity and r.rolname = $1 and not has_table_privilege(r.oid, c.oid, 'select') order by 1 limit 10) as ungranted,
  pg_database_size(current_database())::float8 as bytes`

const bloated = `select relname::text as "table", n_dead_tup::float8 as dead, n_live_tup::float8 as live from pg_stat_user_tables
  where n_dead_tup > 10000 and n_dead_tup > 2 * n_live_tup order by n_dead_tup desc limit 5`

/** Of other roles PostgreSQL shows neither the state nor the time, unless this one is in pg_monitor. */
const stuck = `select * from (
    select 'session ' || pid || coalesce(' (' || state || ')', '') as what, application_name as application,
      extract(epoch from clock_timestamp() - xact_start)::float8 as seconds
    from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
    union all
    select 'prepared transaction ' || gid, '', extract(epoch from clock_timestamp() - prepared)::float8
    from pg_prepared_xacts where database = current_database()) t
  where seconds > $1 order by seconds desc limit 1`

/** `patienceSeconds`: for how long a transaction may be open. */
export function examine(connection: Connection, patienceSeconds: number): Promise<Examination> {
  return withClient({ ...connection, connectionTimeoutMillis: 10_000 }, async (client) => {
    const rows = <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) =>
      client.query<Row>(text, [...values]).then((result) => result.rows)
    const given = await rows<{ name: string; setting: string }>(settings)
    const set = new Map(given.map(({ name, setting }) => [name, setting]))
    const number = (name: string): number => Number(set.get(name) ?? 0)
    const [found] = await rows<{ unvacuumed: string[]; ungranted: string[]; bytes: number }>(tables, [applicationRole])
    const [longest] = await rows<NonNullable<Examination['stuck']>>(stuck, [patienceSeconds])
    return {
      connections:
        number('max_connections') - number('superuser_reserved_connections') - number('reserved_connections'),
      notDurable: ['fsync', 'full_page_writes', 'synchronous_commit'].filter((name) => set.get(name) === 'off'),
      readOnly: set.get('transaction_read_only') === 'on',
      timeouts: {
        statement_timeout: number('statement_timeout'),
        idle_session_timeout: number('idle_session_timeout'),
        lock_timeout: number('lock_timeout'),
      },
      autovacuum: set.get('autovacuum') !== 'off',
      unvacuumed: found?.unvacuumed ?? [],
      ungranted: found?.ungranted ?? [],
      bytes: found?.bytes ?? 0,
      bloated: await rows(bloated),
      stuck: longest ?? null,
    }
  })
}

const channel = 'hitl_doctor'

/** Whether a NOTIFY reaches a session that listens. Behind a pooler that shares sessions it does not. */
export function hearsNotifications(connection: Connection, patienceMs: number): Promise<boolean> {
  return withClient({ ...connection, connectionTimeoutMillis: 10_000 }, async (listener) => {
    await listener.query(`listen ${channel}`)
    const heard = once(listener, 'notification').then(() => true)
    await withClient({ ...connection, connectionTimeoutMillis: 10_000 }, (other) => other.query(`notify ${channel}`))
    // Some drivers read what came in only with the next reply.
    const deaf = pause(patienceMs, false)
    return Promise.race([heard, deaf])
  })
}

export interface Session {
  readonly role: string
  /** host:pid */
  readonly place: string
  readonly since: Date
  readonly connections: number
}

const sessions = `select split_part(application_name, ' ', 2) as role, split_part(application_name, ' ', 3) as place,
    min(backend_start) as since, count(*)::int as connections
  from pg_stat_activity where datname = current_database() and application_name ~ '^hitl (all|api|worker) '
  group by 1, 2 order by 3 limit 100`

/** The processes that have connections to this database. */
export function processesAt(connection: Connection): Promise<readonly Session[]> {
  return withClient({ ...connection, connectionTimeoutMillis: 10_000 }, async (client) => {
    const { rows } = await client.query<Session>(sessions)
    return rows
  })
}
