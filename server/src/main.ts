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
  const signalled = stopSignal(log)
  const database = await openDatabase(config, log)
  try {
    const starting = serveOn(database, config, log)
    // A start on the embedded database ends soon, and then in order. One that waits for a database elsewhere may not.
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

/** Begins to serve; answers how to stop it gracefully, the database aside. */
async function serveOn(database: Database, config: Config, log: Logger): Promise<() => Promise<void>> {
  if (cluster.isPrimary) {
    const names = await migrate(database.connection)
    if (names.length > 0) log.info({ migrations: names }, 'database migrated')
  }
  const app = await openApp(config, log, database)
  const welcome = cluster.isPrimary ? await prepare(config, app) : null
  if (cluster.isPrimary && config.WORKERS > 1 && config.ROLE !== 'worker') {
    const stopCluster = await runCluster(config.WORKERS, log)
    print(welcome ?? '')
    return async () => {
      await stopCluster()
      await app.stop()
    }
  }
  await listen(app, config, log).catch(async (error: unknown) => {
    await app.stop()
    throw error
  })
  app.startWorkers()
  if (welcome !== null) print(welcome)
  return app.stop
}

/** A worker listens for health checks only, and does without when another process of this machine has the port. */
async function listen(app: App, config: Config, log: Logger): Promise<void> {
  const address = { host: config.HOST, port: config.PORT }
  if (config.ROLE !== 'worker') await app.http.listen(address)
  else
    await app.http
      .listen(address)
      .catch((error: unknown) => log.warn({ err: error }, 'no health checks: the port is taken'))
}

/** First data and first admin; answers the block that is printed once the service listens. */
async function prepare(config: Config, app: App): Promise<string> {
  const { ADMIN_EMAIL, ADMIN_PASSWORD } = config
  // First of all: it refuses an installation that has accounts of its own.
  const sample = config.DEMO ? await seed(app) : null
  if (ADMIN_EMAIL !== null && ADMIN_PASSWORD !== null) {
    await app.identity.ensureUser({ email: ADMIN_EMAIL, password: ADMIN_PASSWORD }, 'admin')
  }
  if (config.ROLE === 'worker') return `HITL ${version}: worker running.`
  const lines = [
    `\nHITL ${version} is listening.\n`,
    `  Service   ${config.publicUrl}`,
    `  API docs  ${config.publicUrl}/docs`,
  ]
  if (sample !== null) return `${lines.join('\n')}\n${sampleBlock(config, sample.apiKey)}`
  const token = await app.identity.setupToken()
  if (token !== null) {
    lines.push(
      '',
      '  Make the first admin. This link works once, for 7 days; each start prints a new one and voids the last:',
    )
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

/**
 * Resolves with the first signal; one more, a second or more later, leaves at once. Not in a cluster's child: Ctrl-C and
 * service managers signal all processes, and the parent then signals its children once more.
 */
function stopSignal(log: Logger): Promise<undefined> {
  return new Promise((resolve) => {
    let stoppingSince: number | null = null
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        // Ctrl-C on `npm start` reaches us twice, from the terminal and from npm: signals that come together are one.
        const again = stoppingSince !== null && performance.now() - stoppingSince > 1_000
        if (again && cluster.isPrimary) process.exit(1)
        if (stoppingSince !== null) return
        stoppingSince = performance.now()
        log.info({ signal }, 'stopping: no new calls; those under way are finished')
        resolve(undefined)
      })
    }
  })
}

/** What to do about the usual obstacles; null for what only a stack trace explains. */
function adviceFor(error: unknown): string | null {
  const { code, syscall, message } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') return `${message}. Set PORT to another port, or stop the program that has this one.`
  if (syscall === 'connect' || syscall === 'getaddrinfo') {
    return `the database does not answer (${message}). Check that it runs, and that DATABASE_URL names its host and port.`
  }
  return null
}

run(process.argv[2] ?? 'serve').catch((error: unknown) => {
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`)
    process.exit(exitConfig)
  }
  const advice = adviceFor(error)
  process.stderr.write(`HITL could not start: ${advice ?? (error instanceof Error ? error.stack : error)}\n`)
  process.exit(1)
})
