import { firstExpiry } from '../platform/certificate-file.ts'
import type { Clock } from '../platform/clock.ts'
import type { Db } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import { createLoop } from '../platform/loop.ts'
import type { Instruments } from './instruments.ts'
import { expiringKeysAfter, signingKeys } from './store.ts'

const everyMs = 5_000
/** The organizations of one look. With more, a full view takes several looks: what expires in days can wait. */
const atOnce = 100

export interface CertificateSettings {
  readonly DATABASE_URL: string | null
  readonly DATABASE_CA: string | null
  readonly SMTP_CA: string | null
  readonly SSO_CA: string | null
}

/** The files with certificates, by the setting that names them. DATABASE_URL may name the one that the service shows. */
export function certificateFiles({
  DATABASE_URL,
  ...files
}: CertificateSettings): readonly (readonly [string, string])[] {
  const shown = DATABASE_URL === null ? null : new URL(DATABASE_URL).searchParams.get('sslcert')
  const { DATABASE_CA, SMTP_CA, SSO_CA } = files
  return Object.entries({ DATABASE_URL: shown, DATABASE_CA, SMTP_CA, SSO_CA }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  )
}

export function watchExpiring(
  { db, clock, log }: { readonly db: Db; readonly clock: Clock; readonly log: Logger },
  { keysExpiring, signingKeyAge, certificateExpiry }: Instruments,
  settings: CertificateSettings,
) {
  const certificates = certificateFiles(settings)
  let after: string | null = null
  let sum = 0
  return createLoop('expiring', everyMs, log, async () => {
    const now = clock.now()
    const found = await expiringKeysAfter(db, after, atOnce, now)
    sum += found.reduce((total, { expiring }) => total + expiring, 0)
    after = found.length < atOnce ? null : (found.at(-1)?.organization_id ?? null)
    if (after !== null) return false
    keysExpiring.set(sum)
    sum = 0
    for (const { purpose, active_at: activeAt } of await signingKeys(db))
      signingKeyAge.set({ purpose }, Math.max(0, now.getTime() - activeAt.getTime()) / 1_000)
    for (const [setting, file] of certificates) {
      const expiry = firstExpiry(file)
      if (expiry !== null) certificateExpiry.set({ setting }, (expiry.getTime() - now.getTime()) / 1_000)
    }
    return false
  })
}
