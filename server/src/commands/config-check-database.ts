import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { openDatabase } from '../database.ts'
import { accessOf } from '../platform/database/application-role.ts'
import { type Connection, type Db, openDb } from '../platform/database/db.ts'
import { missingMigrations } from '../platform/database/migrate.ts'
import { keepsSessions, poolerInBetween } from '../platform/database/pooler.ts'
import { type DatabaseReport, reportOn } from '../platform/database/report.ts'
import { installationId } from '../platform/ids.ts'
import { createLog } from '../platform/log.ts'
import { findHeld } from '../restored/store.ts'
import { existingSecretKey, keyRingOf, missingKeys } from '../secrets.ts'
import type { Warning } from './config-warnings.ts'
import { exitConfig, outcomeOf } from './outcome.ts'

/** What the database reported, for people (`lines`) and scripts (`facts`). */
export interface DatabaseCheck {
  readonly exitCode: number
  readonly lines: readonly string[]
  readonly facts: Readonly<Record<string, unknown>>
  readonly warnings: readonly Warning[]
}

const supported = { from: 15, to: 18 }
/** Leases use the clocks of the processes and last 8 s: a difference of one second does no harm. */
const harmlessOffsetMs = 1_000

/** More questions. `db` works as the service does; null where the database lacks migrations, or nobody may take the role. */
export type Look = (connection: Connection, db: Db | null) => Promise<void>

/**
 * Asks the database and changes nothing: an embedded one that was never started is not created for this. `look` may ask more, while
 * it is open.
 */
export async function checkDatabase(config: Config, look: Look = async () => {}): Promise<DatabaseCheck> {
  const embedded = config.DATABASE_URL === null
  if (embedded && !existsSync(join(config.DATA_DIR, 'postgres', 'PG_VERSION'))) {
    const line = `There is none in ${config.DATA_DIR} yet; the first start creates it.`
    return { exitCode: 0, lines: [line], facts: { kind: 'embedded', exists: false }, warnings: [] }
  }
  try {
    const database = await openDatabase(config, createLog('silent', false, process.stderr), 'command')
    try {
      return await ask(config, database.connection, look)
    } finally {
      await database.stop()
    }
  } catch (error) {
    const { exitCode, code, message, next } = outcomeOf(error)
    const facts = { kind: embedded ? 'embedded' : 'external', error: { code, message, next } }
    return { exitCode, lines: [message, ...(next === undefined ? [] : [next])], facts, warnings: [] }
  }
}

async function ask(config: Config, connection: Connection, look: Look): Promise<DatabaseCheck> {
  const { production, DATABASE_URL } = config
  const report = await reportOn(connection)
  const missing = await missingMigrations(connection)
  // The first migration creates the application's role, if it may.
  const isAhead = missing.includes('0001_ground.sql') && report.makesRoles
  const { role, warning: access } = isAhead ? { role: null, warning: null } : await accessOf(connection)
  const pooled = config.DATABASE_PREPARE && !(await keepsSessions(connection))
  const mistakes = [
    ...(production && access !== null ? [`With NODE_ENV=production the service does not start here. ${access}`] : []),
    ...(pooled ? [poolerInBetween] : []),
    ...(missing.length > 0 ? [] : await keysLacking(config, connection, role)),
  ]
  const held = missing.length > 0 ? null : await askAs(connection, role, (db) => findHeld(db.within(installationScope)))
  if (missing.length > 0) await look(connection, null)
  else await askAs(connection, role, (db) => look(connection, db))
  const { version, user, database, tls, clockOffsetMs } = report
  const lines = [
    `Connected to PostgreSQL ${version} as "${user}" in "${database}", ${tls === null ? 'not encrypted' : `encrypted with ${tls}`}.`,
    missing.length === 0
      ? 'It is up to date.'
      : `It lacks ${missing.length} migrations (${missing[0]} ...): hitl migrate, or the next start, applies them.`,
    ...(held === null
      ? []
      : [
          `It was restored from a backup of ${held.backedUpAt.toISOString()}: callbacks and mail are held until "hitl restore --release".`,
        ]),
    ...mistakes,
  ]
  const facts = {
    kind: DATABASE_URL === null ? 'embedded' : 'external',
    version,
    user,
    database,
    tls,
    superuser: report.superuser,
    clock_offset_ms: clockOffsetMs,
    missing_migrations: missing,
    callbacks_held_since: held?.restoredAt ?? null,
    ...(mistakes.length === 0 ? {} : { error: { code: 'config.invalid', message: mistakes.join(' ') } }),
  }
  const exitCode = mistakes.length === 0 ? 0 : exitConfig
  return { exitCode, lines, facts, warnings: warningsOf(report, production ? null : access) }
}

async function keysLacking(config: Config, connection: Connection, role: string | null): Promise<readonly string[]> {
  // Before the first start there is no generated key, and no key opens what was sealed with a lost one.
  const secretKey = (await existingSecretKey(config)) ?? randomUUID()
  return askAs(connection, role, (db) => missingKeys(db, keyRingOf(config, secretKey), secretKey, config))
}

const installationScope = { organizationId: installationId }

async function askAs<T>(connection: Connection, role: string | null, ask: (db: Db) => Promise<T>): Promise<T> {
  const db = openDb({ connection, role, poolSize: 1, prepare: false, onError: () => {} })
  try {
    return await ask(db)
  } finally {
    await db.close()
  }
}

/** Exported for a test, which has no server that is too old, and no clock that differs. */
export function warningsOf({ major, version, superuser, clockOffsetMs }: DatabaseReport, access: string | null) {
  const setting = 'DATABASE_URL'
  const all: readonly (readonly [boolean, string])[] = [
    [
      major < supported.from || major > supported.to,
      `leads to PostgreSQL ${version}; this version is tested with ${supported.from} to ${supported.to}.`,
    ],
    [superuser, 'signs in as a superuser, who may do far more than the service needs. Use a role of its own.'],
    [
      Math.abs(clockOffsetMs) > harmlessOffsetMs,
      `leads to a machine whose clock is ${Math.round(Math.abs(clockOffsetMs) / 1_000)} s off ours. Keep both in step (NTP): deadlines and leases are times.`,
    ],
    [access !== null, `gives more rights than it needs, and production would not start so. ${access}`],
  ]
  return all.filter(([when]) => when).map(([, message]) => ({ setting, message }))
}
