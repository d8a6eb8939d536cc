import type { Config } from './config.ts'
import { applicationRole } from './platform/database/application-role.ts'
import { type Connection, type Db, type DbOptions, openDb } from './platform/database/db.ts'
import { sessionName } from './platform/database/session-name.ts'
import { databaseConnection } from './platform/database/transport.ts'
import { watchDatabase } from './platform/database/watch.ts'
import { startEmbeddedPostgres } from './platform/embedded-postgres/embedded-postgres.ts'
import type { Logger } from './platform/log.ts'

/** A running database, and how to let go of it. */
export interface Database {
  readonly connection: Connection
  readonly kind: 'embedded' | 'external'
  stop(): Promise<void>
}

/** The external database of DATABASE_URL, or the embedded one, started if nobody has yet. `part` is in the names of its sessions. */
export async function openDatabase(config: Config, log: Logger, part: string = config.ROLE): Promise<Database> {
  const application_name = sessionName(part)
  if (config.DATABASE_URL !== null) {
    return {
      connection: { application_name, ...databaseConnection(config.DATABASE_URL, config.DATABASE_CA) },
      kind: 'external',
      stop: async () => {},
    }
  }
  const server = await startEmbeddedPostgres({
    dataDir: config.DATA_DIR,
    settings: { max_connections: String(connectionsFor(config)) },
    log: (line) => log.info({ part: 'postgres' }, line),
  })
  return { connection: { application_name, ...server.connection }, kind: 'embedded', stop: server.stop }
}

/** What all processes can open at once: two pools' worth and a listener each, the parent of WORKERS, and a person with psql. */
function connectionsFor(config: Config): number {
  return Math.max(100, (config.WORKERS + 1) * (config.DATABASE_POOL + 3) + 20)
}

export interface PoolOptions {
  readonly config: Config
  readonly connection: Connection
  /** The role that statements run as (platform/database/application-role.ts); null: the role of the connection. */
  readonly role?: string | null
  readonly log: Logger
  /** Tests put something in front of the database. */
  readonly openDb?: (options: DbOptions) => Db
}

/** The process's connections: for calls, and others for its workers, whose leases and deadlines a flood of calls must not delay. */
export function openPools({ config, connection, role = applicationRole, log, ...options }: PoolOptions) {
  const watch = watchDatabase(log)
  const open = options.openDb ?? openDb
  const openPool = (poolSize: number) =>
    open({
      connection,
      role,
      poolSize,
      prepare: config.DATABASE_PREPARE,
      statementTimeoutMs: config.DATABASE_STATEMENT_SECONDS * 1_000,
      onError: watch.failed,
    })
  const workerConnections = config.ROLE === 'api' ? 1 : Math.max(1, Math.floor(config.DATABASE_POOL * 0.4))
  const workerDb = openPool(workerConnections)
  watch.over(workerDb)
  return { db: openPool(Math.max(1, config.DATABASE_POOL - workerConnections)), workerDb, watch }
}
