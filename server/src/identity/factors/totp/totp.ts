import { randomBytes } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'

/** RFC 4226, 4 (R6): 160 bits, the length of the HMAC's output. */
const seedBytes = 20
/** What every authenticator app supports; several silently ignore other values in the URI. */
const form = { algorithm: 'SHA1', digits: 6, period: 30 } as const
/** RFC 6238, 5.2: one step either way for clocks that differ and people who type slowly. */
const window = 1

/** Time to scan the code and type the first one. */
export const totpEnrolmentMinutes = 10

/** A new seed in base 32, as the URI and people who cannot scan it take it. */
export function newTotpSeed(): string {
  const bytes = randomBytes(seedBytes)
  return new Secret({ buffer: new Uint8Array(bytes).buffer }).base32
}

/** otpauth://totp/...: what the QR code holds. `issuer` tells installations apart in the person's app. */
export function totpUri(seed: string, issuer: string, email: string): string {
  return new TOTP({ ...form, issuer, label: email, secret: Secret.fromBase32(seed) }).toString()
}

/** The time step that the code belongs to, within the window around `now`; null if it is not a code of this seed. */
export function totpStep(seed: string, code: string, now: Date): number | null {
  const token = code.replaceAll(' ', '')
  if (!/^\d{6}$/.test(token)) return null
  const timestamp = now.getTime()
  const delta = TOTP.validate({ ...form, token, secret: Secret.fromBase32(seed), timestamp, window })
  return delta === null ? null : TOTP.counter({ period: form.period, timestamp }) + delta
}
