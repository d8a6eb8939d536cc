import { constants } from 'node:os'
import { type App, createApp } from '../app.ts'
import { type Config, ConfigError, loadConfig } from '../config.ts'
import { type Database, openDatabase } from '../database.ts'
import { accessOf } from '../platform/database/application-role.ts'
import { missingMigrations } from '../platform/database/migrate.ts'
import { keepsSessions, poolerInBetween } from '../platform/database/pooler.ts'
import { createLog, type Logger } from '../platform/log.ts'
import { refusal } from '../platform/problem.ts'
import { resolveSecretKey } from '../secrets.ts'

/** The installation that the settings describe, open for one command. */
export interface Installation {
  readonly config: Config
  readonly log: Logger
  readonly database: Database
}

/**
 * Opens the database for `work`: the external one, or the embedded one, which this process starts or shares with a running
 * service. Logs, warnings and above only, go to standard error: standard output is for the result.
 */
export async function withInstallation<T>(work: (installation: Installation) => Promise<T>): Promise<T> {
  const config = loadConfig()
  const quiet = config.LOG_LEVEL === 'info' ? 'warn' : config.LOG_LEVEL
  const log = createLog(quiet, false, process.stderr)
  const opening = openDatabase(config, log, 'command')
  const { isBrokenOff, release } = stopOnSignal(opening)
  try {
    const database = await opening
    try {
      return await work({ config, log, database })
    } finally {
      await database.stop()
    }
  } catch (error) {
    // The signal closed the database under the work: not a failure to report, since the signal's handler ends the process.
    if (isBrokenOff()) await new Promise(() => {})
    throw error
  } finally {
    release()
  }
}

const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const

/** An interrupted command must not leave an embedded database running that it started. */
function stopOnSignal(opening: Promise<Database>) {
  let isBrokenOff = false
  const handler = (signal: NodeJS.Signals): void => {
    // Ctrl-C reaches this process twice, from the terminal and from the parent command: signals close together count as one.
    if (isBrokenOff) return
    isBrokenOff = true
    const stopped = opening.then((database) => database.stop())
    // The code that shells use. An exit, not the signal again, so that Node restores the terminal.
    void stopped.catch(() => {}).finally(() => process.exit(128 + constants.signals[signal]))
  }
  for (const signal of signals) process.on(signal, handler)
  return {
    isBrokenOff: () => isBrokenOff,
    release: () => {
      if (!isBrokenOff) for (const signal of signals) process.off(signal, handler)
    },
  }
}

/** The app, with no more rights in the database than it needs; production refuses anything else. */
export async function openApp(config: Config, log: Logger, { connection, kind }: Database): Promise<App> {
  if (config.DATABASE_URL !== null && config.DATABASE_PREPARE && !(await keepsSessions(connection)))
    throw new ConfigError([poolerInBetween])
  const { role, warning } = await accessOf(connection)
  if (warning !== null && config.production)
    throw new ConfigError([`DATABASE_URL gives more rights than production allows. ${warning}`])
  if (warning !== null) log.warn(warning)
  const dataDir = kind === 'embedded' ? config.DATA_DIR : null
  return createApp({ config, log, connection, role, dataDir, secretKey: await resolveSecretKey(config) })
}

/** The service without web server and workers, on a database that has all migrations. */
export function withApp<T>(work: (app: App, installation: Installation) => Promise<T>): Promise<T> {
  return withInstallation(async (installation) => {
    const { config, log, database } = installation
    refuseBehind(await missingMigrations(database.connection))
    const app = await openApp(config, log, database)
    try {
      return await work(app, installation)
    } finally {
      await app.stop()
    }
  })
}

const databaseBehind = refusal(
  409,
  'database.behind',
  (missing: string) => `The database lacks ${missing}. Run "hitl migrate" first, then try again.`,
  '0001_ground.sql',
)

/** Throws when the database lacks migrations. */
export function refuseBehind(missing: readonly string[]): void {
  if (missing.length === 0) return
  const names = missing.length === 1 ? missing[0] : `${missing.length} migrations, from ${missing[0]} on`
  throw databaseBehind(names ?? '')
}
