import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from './config.ts'
import { bySystem, factBy, type Report } from './facts/fact.ts'
import type { Clock } from './platform/clock.ts'
import type { Db } from './platform/database/db.ts'
import type { Logger } from './platform/log.ts'
import { createEnvelope, type ReportKeyChange } from './platform/secrets/envelope.ts'
import type { SealedColumn } from './platform/secrets/envelope-columns.ts'
import { type RewrapOptions, rewrap } from './platform/secrets/envelope-rewrap.ts'
import { createKeyRing } from './platform/secrets/key-encryption.ts'

export interface SecretDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly config: Config
  readonly secretKey: string
  readonly report: Report
}

/** The keys of the installation, and the sealer of stored secrets. */
export function createSecrets({ db, clock, log, config, secretKey, report }: SecretDependencies) {
  const previousSecretKey = config.SECRET_KEY_PREVIOUS
  const keyRing = createKeyRing({ configured: config.KEY_ENCRYPTION_KEYS, secretKey, previousSecretKey })
  const secretKeys = [secretKey, ...(previousSecretKey === null ? [] : [previousSecretKey])] as const
  const reportChange: ReportKeyChange = (tx, { organizationId, kind, ...change }) => {
    const subject = ['organization', organizationId] as const
    return report(tx, [factBy(bySystem(organizationId), kind, subject, { ...change, occurredAt: clock.now() })])
  }
  const sealer = createEnvelope({ db, keyRing, report: reportChange })
  return {
    /** The current key first. */
    secretKeys,
    sealer,
    /** Re-encrypts every stored secret under the current keys, while services run. */
    rewrap: (
      columns: readonly SealedColumn[],
      organizationIds: () => Promise<readonly string[]>,
      options?: RewrapOptions,
    ) => rewrap({ db, keyRing, envelope: sealer, columns, organizationIds, log, report: reportChange }, options),
  }
}

/** SECRET_KEY as configured, or the one in DATA_DIR, created at the first start (384 random bits, readable only by its owner). */
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
