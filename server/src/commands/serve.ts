import cluster from 'node:cluster'
import type { App } from '../app.ts'
import { type Config, ConfigError, loadConfig } from '../config.ts'
import { type Database, openDatabase } from '../database.ts'
import { passMetricsOn } from '../metrics/processes.ts'
import { sqlState } from '../platform/database/errors.ts'
import { migrate, missingMigrations } from '../platform/database/migrate.ts'
import { createLog, type Logger } from '../platform/log.ts'
import { runCluster } from '../processes.ts'
import { seed } from '../seed.ts'
import { version } from '../version.ts'
import type { Output, Run } from './command.ts'
import { requireFreePort } from './free-port.ts'
import { openApp, refuseBehind } from './installation.ts'
import { changeLevelOnSignal } from './log-level.ts'
import { stopSignal } from './stop-signal.ts'
import { type Welcome, welcomeFacts, welcomeText } from './welcome.ts'

/** SQLSTATE (PostgreSQL, appendix A). */
const insufficientPrivilege = '42501'

/** Prints the welcome once the service takes calls. */
type Announce = () => Promise<void>

export const run: Run = async (_options, output) => {
  const config = loadConfig()
  const log = createLog(config.LOG_LEVEL, isPretty(config, process.stdout.isTTY === true, output.json))
  changeLevelOnSignal(log)
  await serve(config, log, output)
  return undefined
}

/** With --json every line of the output is JSON, unless somebody asks for something else. */
export function isPretty({ LOG_FORMAT, production }: Config, isTerminal: boolean, json: boolean): boolean {
  return LOG_FORMAT === 'pretty' || (LOG_FORMAT === 'auto' && isTerminal && !production && !json)
}

async function serve(config: Config, log: Logger, output: Output): Promise<void> {
  const signalled = stopSignal(log)
  if (cluster.isPrimary) await requireFreePort(config)
  const database = await openDatabase(config, log)
  try {
    const starting = serveOn(database, config, log, output)
    // A start on the embedded database is short, so it finishes before the stop. One that waits for a remote database may not.
    const stop = database.kind === 'embedded' ? await starting : await Promise.race([starting, signalled])
    await signalled
    await stop?.().catch((error: unknown) => {
      log.fatal({ err: error }, 'the stop failed')
      process.exitCode = 1
    })
  } finally {
    await database.stop()
  }
  log.flush(() => process.exit(process.exitCode ?? 0))
}

/** Starts to serve; returns the function that stops it gracefully, except for the database. */
async function serveOn(database: Database, config: Config, log: Logger, output: Output): Promise<() => Promise<void>> {
  if (cluster.isPrimary) {
    const names = await bringUpToDate(database)
    if (names.length > 0) log.info({ migrations: names }, 'database migrated')
  }
  const app = await openApp(config, log, database)
  const missing = await app.missingKeys()
  if (missing.length > 0) {
    await app.stop()
    throw new ConfigError(missing)
  }
  await app.noteSecretKey()
  // Before the first call, which may cause a callback.
  await app.restored.look()
  const announce = cluster.isPrimary ? await prepare(config, app, output) : async () => {}
  if (cluster.isPrimary && config.WORKERS > 1 && config.ROLE !== 'worker') {
    passMetricsOn()
    const stopCluster = await runCluster(config.WORKERS, log)
    await announce()
    return async () => {
      await stopCluster()
      await app.stop()
    }
  }
  await listen(app, config, log)
    // After the port of the API: the parent takes the first one for the end of the start.
    .then(app.listenForMetrics)
    .catch(async (error: unknown) => {
      await app.stop()
      throw error
    })
  app.startWorkers()
  await announce()
  return app.stop
}

/** The role may lack DDL rights; that is fine if the migrations were already applied. */
async function bringUpToDate({ connection }: Database): Promise<readonly string[]> {
  try {
    return await migrate(connection)
  } catch (error) {
    if (sqlState(error) !== insufficientPrivilege) throw error
    refuseBehind(await missingMigrations(connection))
    return []
  }
}

/** A worker listens for health checks only, and goes without them when another process has the port. */
async function listen(app: App, config: Config, log: Logger): Promise<void> {
  const address = { host: config.HOST, port: config.PORT }
  if (config.ROLE !== 'worker') await app.http.listen(address)
  else
    await app.http
      .listen(address)
      .catch((error: unknown) => log.warn({ err: error }, 'no health checks: the port is taken'))
}

/** First data and first admin. */
async function prepare(config: Config, app: App, output: Output): Promise<Announce> {
  const { ADMIN_EMAIL, ADMIN_PASSWORD, publicUrl } = config
  // First: it refuses an installation that has other accounts.
  const sample = config.DEMO ? await seed(app) : null
  if (ADMIN_EMAIL !== null && ADMIN_PASSWORD !== null) {
    await app.identity.people.ensureUser({ email: ADMIN_EMAIL, password: ADMIN_PASSWORD }, 'admin')
  }
  if (config.ROLE === 'worker') {
    return async () => output.result({ event: 'working', version }, `HITL ${version}: worker running.`)
  }
  return async () => {
    // Only once it listens: a failed start must not void the link that an earlier one printed.
    const token = sample === null ? await app.identity.people.setupToken() : null
    const welcome: Welcome = {
      publicUrl,
      sampleApiKey: sample?.apiKey ?? null,
      setupUrl: token === null ? null : `${publicUrl}/setup#${token}`,
      isHeld: app.restored.held() !== null,
    }
    output.result(welcomeFacts(welcome), welcomeText(config, welcome))
  }
}
