import type { Report } from '../facts/fact.ts'
import type { Clock } from '../platform/clock.ts'
import type { Db } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import { openMail } from '../platform/mail.ts'
import type { SealedColumn } from '../platform/secrets/envelope-columns.ts'
import type { Sealer } from '../platform/secrets/sealed-text.ts'
import type { Hold } from '../restored/hold.ts'
import type { MailSettings } from '../settings/mail.ts'
import { createLetters } from './service.ts'
import { createLetterWorker } from './worker.ts'

export interface LetterModuleDependencies {
  /** For background work. */
  readonly workerDb: Db
  readonly clock: Clock
  readonly log: Logger
  readonly sealer: Sealer
  readonly report: Report
  readonly hold: Hold
  readonly settings: MailSettings
}

const sealedColumns: readonly SealedColumn[] = [
  { table: 'letters', column: 'body' },
  { table: 'letters', column: 'body', of: 'installation' },
]

/** Letters to people: an outbox in the database, and the worker that sends them. */
export function createLetterModule({ workerDb: db, settings, ...dependencies }: LetterModuleDependencies) {
  const { clock, log, sealer } = dependencies
  const { SMTP_URL: relay, MAIL_FROM: from, SMTP_CA: caFile } = settings
  const mail = openMail({ relay, from, caFile, log })
  const worker = mail && createLetterWorker({ ...dependencies, db, mail })
  return {
    letters: createLetters({ clock, sealer, isOn: worker !== null, wake: () => worker?.wake() }),
    loops: worker === null ? [] : [worker],
    sealedColumns,
  }
}
