import { readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { type Config, loadConfig } from '../config.ts'
import { type FailingReceiver, failingReceivers } from '../deliveries/failing-store.ts'
import { signingKeys } from '../identity/signing-keys/store.ts'
import { add, blank, type Sums } from '../metrics/backlog.ts'
import { oldestDueTimer, waitingAfter } from '../metrics/store.ts'
import type { Db } from '../platform/database/db.ts'
import { processesAt, type Session } from '../platform/database/examination.ts'
import { installationId } from '../platform/ids.ts'
import { sampleKeys } from '../platform/secrets/envelope-store.ts'
import { version } from '../version.ts'
import { type Run, textOption, UsageError } from './command.ts'
import { checkDatabase, type Look } from './config-check-database.ts'
import { askService } from './doctor/network.ts'
import { printOutcome } from './outcome.ts'

const atOnce = 100
/** With more organizations, what waits is that of the first ones. */
const mostPages = 100

interface Stored {
  readonly waiting: Sums
  readonly oldestTimer: Date | null
  readonly failing: readonly FailingReceiver[]
  readonly signing: readonly { readonly purpose: string; readonly kid: string; readonly since: Date }[]
  readonly keyEncryption: readonly string[]
}

export const run: Run = async (options, output) => {
  const config = loadConfig()
  const now = new Date()
  const folder = textOption(options, 'backups')
  const lastBackup = folder === null ? null : await newestBackup(folder)
  let processes: readonly Session[] = []
  let stored: Stored | null = null
  const look: Look = async (connection, db) => {
    processes = await processesAt(connection)
    if (db !== null) stored = await readStored(db, now)
  }
  const { exitCode, facts: database } = await checkDatabase(config, look)
  const { error, ...asked } = database as { error?: { code: string; message: string; next?: string } }
  if (error !== undefined && exitCode !== 0) {
    printOutcome({ exitCode, ...error }, output.json, false)
    return exitCode
  }
  const facts = {
    version,
    database: asked,
    service: await askService(config),
    processes,
    ...(stored === null ? {} : factsOf(stored, now)),
    free_mebibytes: await freeMebibytes(config),
    last_backup: lastBackup,
  }
  output.result(facts, asText(facts))
  return undefined
}

async function readStored(db: Db, now: Date): Promise<Stored> {
  let waiting: Sums = blank
  let after: string | null = null
  for (let page = 0; page < mostPages; page += 1) {
    const found = await waitingAfter(db, after, atOnce, now)
    waiting = found.reduce(add, waiting)
    if (found.length < atOnce) break
    after = found.at(-1)?.organization_id ?? null
  }
  const keys = await signingKeys(db.within({ organizationId: installationId }))
  const sealed = await sampleKeys(db.within({ resealer: true }))
  return {
    waiting,
    oldestTimer: await oldestDueTimer(db, now),
    failing: await failingReceivers(db.within({ worker: true })),
    signing: keys
      .filter(({ key }) => key.retiredAt === null)
      .map(({ key: { purpose, kid, activeAt: since } }) => ({ purpose, kid, since })),
    keyEncryption: [...new Set(sealed.map(({ kekId }) => kekId))].sort(),
  }
}

function factsOf({ waiting, oldestTimer, failing, signing, keyEncryption }: Stored, now: Date) {
  const age = (at: Date | null): number | null =>
    at === null ? null : Math.max(0, Math.round((now.getTime() - at.getTime()) / 1_000))
  const { open, oldest, due, oldestDue, unsealed, oldestUnsealed } = waiting
  return {
    requests: {
      open,
      oldest_seconds: { high: age(oldest.high), critical: age(oldest.critical), other: age(oldest.other) },
      timer_late_seconds: age(oldestTimer),
    },
    callbacks: {
      due,
      oldest_due_seconds: age(oldestDue),
      failing_receivers: failing.map(({ organizationId, ...receiver }) => ({
        organization_id: organizationId,
        ...receiver,
      })),
    },
    seals: { unsealed_events: unsealed, oldest_unsealed_seconds: age(oldestUnsealed) },
    keys: { signing, key_encryption: keyEncryption },
  }
}

async function freeMebibytes({ DATA_DIR }: Config): Promise<number | null> {
  const found = await statfs(DATA_DIR).catch(() => null)
  return found === null ? null : Math.floor((found.bavail * found.bsize) / 1_048_576)
}

/** By the time of the file: a backup appears under its name once it is complete. */
async function newestBackup(folder: string) {
  const names = await readdir(folder).catch(() => {
    throw new UsageError(`--backups must name a folder that can be read.`, 'See: hitl status --help')
  })
  const files = names.filter((name) => name.endsWith('.backup')).map((name) => join(folder, name))
  const times = await Promise.all(files.map(async (file) => ({ file, made_at: (await stat(file)).mtime })))
  return times.sort((a, b) => b.made_at.getTime() - a.made_at.getTime())[0] ?? null
}

type Facts = Record<string, unknown>

/** Every figure on a line of its own, under the names that `--json` has. */
function asText(facts: Facts): string {
  const lines = (value: unknown, path: string): readonly string[] => {
    if (Array.isArray(value)) {
      const rows = value.map((one) =>
        typeof one === 'object' && one !== null ? Object.values(one).map(shown).join('  ') : shown(one),
      )
      return rows.length === 0 ? [`${path}  none`] : rows.map((row) => `${path}  ${row}`)
    }
    if (typeof value !== 'object' || value === null || value instanceof Date) return [`${path}  ${shown(value)}`]
    return Object.entries(value).flatMap(([name, inner]) => lines(inner, path === '' ? name : `${path}.${name}`))
  }
  const all = lines(facts, '').map((line) => line.split('  '))
  const wide = Math.max(...all.map(([name = '']) => name.length))
  return all.map(([name = '', ...rest]) => `${name.padEnd(wide)}  ${rest.join('  ')}`).join('\n')
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return '-'
  return value instanceof Date ? value.toISOString() : String(value)
}
