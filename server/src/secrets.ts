import { randomBytes } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from './config.ts'
import { bySystem, factBy, type Report } from './facts/fact.ts'
import type { Clock } from './platform/clock.ts'
import type { Db } from './platform/database/db.ts'
import { dataFolderError, makeFolder } from './platform/folder.ts'
import { installationId } from './platform/ids.ts'
import type { Logger } from './platform/log.ts'
import { createEnvelope, type ReportKeyChange } from './platform/secrets/envelope.ts'
import type { SealedColumn } from './platform/secrets/envelope-columns.ts'
import { type RewrapOptions, rewrap } from './platform/secrets/envelope-rewrap.ts'
import { sampleKeys } from './platform/secrets/envelope-store.ts'
import { createKeyRing, type KeyRing, secretKeyId, type WrappedKey } from './platform/secrets/key-encryption.ts'
import { findSecretKeyCheck, saveSecretKeyCheck, secretKeyCheckOf } from './platform/secrets/secret-key-check.ts'

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
  const keyRing = keyRingOf(config, secretKey)
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
    /** False when a key was needed that this process lacks. */
    hasEveryKey: () => keyRing.missing().length === 0,
    missingKeys: () => missingKeys(db, keyRing, secretKey, config),
    secretKeyMistakes: () => secretKeyMistakes(db, secretKey, config),
    /** From now on this SECRET_KEY counts, in place of the one in SECRET_KEY_PREVIOUS, or of any if that is lost. */
    noteSecretKey: ({ formerIsLost = false } = {}) => {
      const replaced = previousSecretKey === null ? [] : [secretKeyCheckOf(previousSecretKey)]
      return saveSecretKeyCheck(db.within(installation), secretKeyCheckOf(secretKey), formerIsLost ? null : replaced)
    },
    /** Re-encrypts every stored secret under the current keys, while services run. */
    rewrap: (
      columns: readonly SealedColumn[],
      organizationIds: () => Promise<readonly string[]>,
      options?: RewrapOptions,
    ) => rewrap({ db, keyRing, envelope: sealer, columns, organizationIds, log, report: reportChange }, options),
  }
}

export function keyRingOf({ KEY_ENCRYPTION_KEYS, SECRET_KEY_PREVIOUS }: Config, secretKey: string): KeyRing {
  return createKeyRing({ configured: KEY_ENCRYPTION_KEYS, secretKey, previousSecretKey: SECRET_KEY_PREVIOUS })
}

const installation = { organizationId: installationId }

/**
 * A mistake for each key that data keys of this database were sealed with and that the settings lack, and for another SECRET_KEY
 * than the database was used with. Started like that, the service would seem to work, and every decision would fail, or
 * everybody would be signed out and the callbacks that wait would be refused.
 */
export async function missingKeys(
  db: Db,
  keyRing: KeyRing,
  secretKey: string,
  config: Config,
): Promise<readonly string[]> {
  const closed = keysThatDoNotOpen(await sampleKeys(db.within({ resealer: true })), keyRing, config)
  return closed.length > 0 ? closed : secretKeyMistakes(db, secretKey, config)
}

/** A mistake if another SECRET_KEY counts in this database. */
export async function secretKeyMistakes(db: Db, secretKey: string, config: Config): Promise<readonly string[]> {
  const check = await findSecretKeyCheck(db.within(installation))
  if (check === null || isKnown(check, secretKey, config)) return []
  return [
    `${secretKeyOf(config)} is not the one that this database is used with, so everybody would be signed out and the callbacks that wait would be refused: set that one, or add it as SECRET_KEY_PREVIOUS; if it is lost, run "hitl keys rotate --secret-key-lost"`,
  ]
}

const isKnown = (check: string, secretKey: string, { SECRET_KEY_PREVIOUS }: Config): boolean =>
  [secretKey, SECRET_KEY_PREVIOUS].some((key) => key !== null && secretKeyCheckOf(key) === check)

/** The same for these data keys. */
export function keysThatDoNotOpen(
  keys: readonly WrappedKey[],
  keyRing: KeyRing,
  config: Pick<Config, 'SECRET_KEY' | 'DATA_DIR'>,
): readonly string[] {
  const lacking = keys.filter((key) => !keyRing.opens(key))
  const firstOfEach = new Map(lacking.reverse().map((key) => [key.kekId, key]))
  return [...firstOfEach.values()].map(({ kekId, id }) => {
    if (kekId !== secretKeyId) {
      return `KEY_ENCRYPTION_KEYS lacks the key "${kekId}", which data key ${id} of this database was sealed with: add it after the current one`
    }
    return `${secretKeyOf(config)} is not the one that data key ${id} of this database was sealed with ("${secretKeyId}"): set that one, or add it as SECRET_KEY_PREVIOUS`
  })
}

/** A mistake for each key that a backup needs and that the settings lack. `check`: of its SECRET_KEY, where it is known. */
export function keysThatBackupLacks(
  keys: readonly WrappedKey[],
  check: string | undefined,
  secretKey: string,
  config: Config,
): readonly string[] {
  const closed = keysThatDoNotOpen(keys, keyRingOf(config, secretKey), config)
  if (closed.length > 0 || check === undefined || isKnown(check, secretKey, config)) return closed
  // Proofs of the callbacks that wait, and sessions, are made with it.
  return [
    `${secretKeyOf(config)} is not the one of the installation that was backed up, so the callbacks that wait would be refused and everybody signed out: set that one, or add it as SECRET_KEY_PREVIOUS`,
  ]
}

const secretKeyOf = (config: Pick<Config, 'SECRET_KEY' | 'DATA_DIR'>): string =>
  config.SECRET_KEY === null ? `SECRET_KEY, generated into ${secretKeyFile(config)},` : 'SECRET_KEY'

export const secretKeyFile = ({ DATA_DIR }: Pick<Config, 'DATA_DIR'>): string => join(DATA_DIR, 'secret-key')

/** SECRET_KEY as configured, or the one in DATA_DIR; null before the first start. */
export async function existingSecretKey(config: Config): Promise<string | null> {
  if (config.SECRET_KEY !== null) return config.SECRET_KEY
  const known = await readFile(secretKeyFile(config), 'utf8').catch(() => '')
  return known.trim().length >= 32 ? known.trim() : null
}

/** SECRET_KEY as configured, or the one in DATA_DIR, created at the first start (384 random bits, readable only by its owner). */
export async function resolveSecretKey(config: Config): Promise<string> {
  const known = await existingSecretKey(config)
  if (known !== null) return known
  try {
    return await createSecretKey(config.DATA_DIR, secretKeyFile(config))
  } catch (error) {
    throw dataFolderError(error, config.DATA_DIR)
  }
}

async function createSecretKey(folder: string, path: string): Promise<string> {
  await makeFolder(folder)
  const draft = `${path}.${process.pid}`
  try {
    await writeFile(draft, `${randomBytes(48).toString('base64')}\n`, { mode: 0o600, flush: true })
    // Linking fails when another process was first: then its key counts, for both.
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(draft, { force: true })
  }
  return (await readFile(path, 'utf8')).trim()
}
