import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { openDatabase } from '../database.ts'
import { accessOf } from '../platform/database/application-role.ts'
import type { Connection } from '../platform/database/db.ts'
import { missingMigrations } from '../platform/database/migrate.ts'
import { type DatabaseReport, reportOn } from '../platform/database/report.ts'
import { createLog } from '../platform/log.ts'
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

/** Asks the database and changes nothing: an embedded one that was never started is not created for this. */
export async function checkDatabase(config: Config): Promise<DatabaseCheck> {
  const embedded = config.DATABASE_URL === null
  if (embedded && !existsSync(join(config.DATA_DIR, 'postgres', 'PG_VERSION'))) {
    const line = `There is none in ${config.DATA_DIR} yet; the first start creates it.`
    return { exitCode: 0, lines: [line], facts: { kind: 'embedded', exists: false }, warnings: [] }
  }
  try {
    const database = await openDatabase(config, createLog('silent', false, process.stderr))
    try {
      return await ask(config, database.connection)
    } finally {
      await database.stop()
    }
  } catch (error) {
    const { exitCode, code, message, next } = outcomeOf(error)
    const facts = { kind: embedded ? 'embedded' : 'external', error: { code, message, next } }
    return { exitCode, lines: [message, ...(next === undefined ? [] : [next])], facts, warnings: [] }
  }
}

async function ask({ production, DATABASE_URL }: Config, connection: Connection): Promise<DatabaseCheck> {
  const report = await reportOn(connection)
  const missing = await missingMigrations(connection)
  // The first migration creates the application's role, if it may.
  const isAhead = missing.includes('0001_ground.sql') && report.makesRoles
  const access = isAhead ? null : (await accessOf(connection)).warning
  const refused = production ? access : null
  const { version, user, database, tls, clockOffsetMs } = report
  const lines = [
    `Connected to PostgreSQL ${version} as "${user}" in "${database}", ${tls === null ? 'not encrypted' : `encrypted with ${tls}`}.`,
    missing.length === 0
      ? 'It is up to date.'
      : `It lacks ${missing.length} migrations (${missing[0]} ...): hitl migrate, or the next start, applies them.`,
    ...(refused === null ? [] : [`With NODE_ENV=production the service does not start here. ${refused}`]),
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
    ...(refused === null ? {} : { error: { code: 'config.invalid', message: refused } }),
  }
  const exitCode = refused === null ? 0 : exitConfig
  return { exitCode, lines, facts, warnings: warningsOf(report, production ? null : access) }
}

function warningsOf({ major, version, superuser, clockOffsetMs }: DatabaseReport, access: string | null) {
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
