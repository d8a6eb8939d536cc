import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Config, ConfigError } from './config.ts'
import type { Connection } from './platform/database/db.ts'
import { databaseConnection } from './platform/database/transport.ts'
import { startEmbeddedPostgres } from './platform/embedded-postgres/embedded-postgres.ts'
import type { Logger } from './platform/log.ts'

/** A running database, and how to let go of it. */
export interface Database {
  readonly connection: Connection
  readonly kind: 'embedded' | 'external'
  stop(): Promise<void>
}

/** The external database of DATABASE_URL, or the embedded one, started if nobody has yet. */
export async function openDatabase(config: Config, log: Logger): Promise<Database> {
  if (config.DATABASE_URL !== null) {
    return {
      connection: databaseConnection(config.DATABASE_URL, config.DATABASE_CA),
      kind: 'external',
      stop: async () => {},
    }
  }
  await mkdir(config.DATA_DIR, { recursive: true }).catch((error: Error) => {
    throw new ConfigError([
      `DATA_DIR cannot be created (${error.message}): name a folder that this account may write to`,
    ])
  })
  const server = await startEmbeddedPostgres({
    dataDir: config.DATA_DIR,
    settings: { max_connections: String(connectionsFor(config)) },
    log: (line) => log.info({ part: 'postgres' }, line),
  })
  return { connection: server.connection, kind: 'embedded', stop: server.stop }
}

/** What all processes can open at once: two pools' worth and a listener each, the parent of WORKERS, and a person with psql. */
function connectionsFor(config: Config): number {
  return Math.max(100, (config.WORKERS + 1) * (config.DATABASE_POOL + 3) + 20)
}

/** SECRET_KEY as configured, or the one in DATA_DIR, made at the first start (384 random bits, readable by its owner). */
export async function resolveSecretKey(config: Config): Promise<string> {
  if (config.SECRET_KEY !== null) return config.SECRET_KEY
  const path = join(config.DATA_DIR, 'secret-key')
  const known = await readFile(path, 'utf8').catch(() => null)
  if (known !== null && known.trim().length >= 32) return known.trim()
  await mkdir(config.DATA_DIR, { recursive: true })
  const draft = `${path}.${process.pid}`
  await writeFile(draft, `${randomBytes(48).toString('base64')}\n`, { mode: 0o600, flush: true })
  // Linking fails when another process was first: then its key counts, for both.
  await link(draft, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  await rm(draft)
  return (await readFile(path, 'utf8')).trim()
}
