import cluster from 'node:cluster'
import { type App, createApp, version } from './app.ts'
import { type Config, ConfigError, loadConfig } from './config.ts'
import { type Database, openDatabase, resolveSecretKey } from './database.ts'
import { createLog, type Logger } from './platform/log.ts'
import { migrate } from './platform/migrate.ts'
import { runCluster } from './processes.ts'
import { sampleAdmin, samplePassword, sampleReviewer, seed } from './seed.ts'

const print = (text: string): void => void process.stdout.write(`${text}\n`)

/** EX_CONFIG and EX_USAGE of sysexits.h: a supervisor should not restart what cannot get better by itself. */
const exitConfig = 78
const exitUsage = 64

async function run(command: string): Promise<void> {
  const config = loadConfig()
  const log = createLog(config.LOG_LEVEL, process.stdout.isTTY === true && !config.production)
  if (command === 'serve') await serve(config, log)
  else if (command === 'migrate')
    await withDatabase(config, log, async ({ connection }) => print(applied(await migrate(connection))))
  else if (command === 'seed') await seedOnce(config, log)
  else {
    print(`Unknown command "${command}". Use serve (the default), migrate or seed.`)
    process.exitCode = exitUsage
  }
}

async function withDatabase(config: Config, log: Logger, work: (database: Database) => Promise<void>): Promise<void> {
  const database = await openDatabase(config, log)
  try {
    await work(database)
  } finally {
    await database.stop()
  }
}

function applied(names: readonly string[]): string {
  return names.length === 0 ? 'The database is up to date.' : `Applied ${names.join(', ')}.`
}

async function seedOnce(config: Config, log: Logger): Promise<void> {
  if (config.production) {
    throw new ConfigError(['seed is refused when NODE_ENV is production: it makes accounts with known passwords'])
  }
  await withDatabase(config, log, async (database) => {
    await migrate(database.connection)
    const app = await openApp(config, log, database)
    try {
      const { apiKey } = await seed(app)
      print(sampleBlock(config, apiKey))
    } finally {
      await app.stop()
    }
  })
}

async function openApp(config: Config, log: Logger, { connection }: Database): Promise<App> {
  return createApp({ config, log, connection, secretKey: await resolveSecretKey(config) })
}

async function serve(config: Config, log: Logger): Promise<void> {
  const database = await openDatabase(config, log)
  try {
    await serveOn(database, config, log)
  } catch (error) {
    await database.stop()
    throw error
  }
}

async function serveOn(database: Database, config: Config, log: Logger): Promise<void> {
  if (cluster.isPrimary) {
    const names = await migrate(database.connection)
    if (names.length > 0) log.info({ migrations: names }, 'database migrated')
  }
  if (cluster.isPrimary && config.WORKERS > 1 && config.ROLE !== 'worker') {
    const app = await openApp(config, log, database)
    const welcome = await prepare(config, app)
    const stop = await runCluster(config.WORKERS, log)
    print(welcome)
    onStop(log, async () => {
      await stop()
      await app.stop()
      await database.stop()
    })
    return
  }
  const app = await openApp(config, log, database)
  const welcome = cluster.isPrimary ? await prepare(config, app) : null
  app.startWorkers()
  if (config.ROLE !== 'worker') await app.http.listen({ host: config.HOST, port: config.PORT })
  if (welcome !== null) print(welcome)
  onStop(log, async () => {
    await app.stop()
    await database.stop()
    // A cluster's child stays alive for its parent's channel.
    if (cluster.isWorker) process.disconnect()
  })
}

/** First data and first admin; answers the block that is printed once the service listens. */
async function prepare(config: Config, app: App): Promise<string> {
  const { ADMIN_EMAIL, ADMIN_PASSWORD } = config
  if (ADMIN_EMAIL !== null && ADMIN_PASSWORD !== null) {
    await app.identity.ensureUser({ email: ADMIN_EMAIL, password: ADMIN_PASSWORD }, 'admin')
  }
  if (config.ROLE === 'worker') return `HITL ${version}: worker running.`
  const lines = [
    `\nHITL ${version} is listening.\n`,
    `  Service   ${config.publicUrl}`,
    `  API docs  ${config.publicUrl}/docs`,
  ]
  if (config.DEMO) return `${lines.join('\n')}\n${sampleBlock(config, (await seed(app)).apiKey)}`
  const token = await app.identity.setupToken()
  if (token !== null) {
    lines.push('', '  Make the first admin (this link works once, for 7 days, until the next start):')
    lines.push(`  ${config.publicUrl}/setup#${token}`)
  }
  return `${lines.join('\n')}\n`
}

function sampleBlock(config: Config, apiKey: string): string {
  return `
  Sample logins   ${sampleAdmin} and ${sampleReviewer}, password ${samplePassword}
  Sample API key  ${apiKey}

  Try it:
  curl -s ${config.publicUrl}/api/v1/requests \\
    -H 'Authorization: Bearer ${apiKey}' -H 'Content-Type: application/json' \\
    -d '{"title":"May I deploy?","context":{"version":"1.2.3"}}'
`
}

/** The first signal drains, a second one leaves at once. */
function onStop(log: Logger, stop: () => Promise<void>): void {
  let stopping = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(1)
      stopping = true
      log.info({ signal }, 'stopping: no new calls; those under way are finished')
      stop().then(
        () => log.flush(() => process.exit(0)),
        (error: unknown) => {
          log.fatal({ err: error }, 'the stop failed')
          log.flush(() => process.exit(1))
        },
      )
    })
  }
}

run(process.argv[2] ?? 'serve').catch((error: unknown) => {
  const known = error instanceof ConfigError
  process.stderr.write(
    `${known ? error.message : `HITL could not start: ${error instanceof Error ? error.message : error}`}\n`,
  )
  if (!known && error instanceof Error && error.stack !== undefined) process.stderr.write(`${error.stack}\n`)
  process.exit(known ? exitConfig : 1)
})
