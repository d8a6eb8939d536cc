import type { Scope } from '../../platform/database/db.ts'
import type { Place } from '../../platform/secrets/sealed-text.ts'
import type { Passwords } from '../accounts/passwords.ts'
import type { IdentityContext } from '../context.ts'
import type { Person } from '../principal.ts'
import type { Attempts } from '../throttle/attempts.ts'
import type { RelyingParty } from './passkeys/passkey.ts'

/** Seals the seeds of authenticator apps at rest, either at once or through a key store. */
export interface SeedSealer {
  readonly seal: (plain: string, place: Place) => Buffer | Promise<Buffer>
  readonly open: (sealed: Buffer, place: Place) => string | Promise<string>
}

export interface FactorDependencies extends IdentityContext {
  readonly passwords: Passwords
  readonly sealer: SeedSealer
  /** Null where PUBLIC_URL allows no passkeys. */
  readonly party: RelyingParty | null
  /** The installation's name in authenticator apps. */
  readonly issuer: string
  /** Slows down guessing at codes. */
  readonly attempts: Pick<Attempts, 'prove'>
  /** For people without a second factor a sign-in this recent counts as a step-up; 0: never. */
  readonly stepUpFreshMinutes: number
}

/** A person's factors, and the events about them in the organization that the person works in. */
export function scopeOf(person: Person): Scope {
  return { organizationId: person.organizationId, accountId: person.accountId }
}
