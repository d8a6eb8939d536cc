import type { FindingCode, Findings } from './audit-verify-findings.ts'
import { type Head, type Jws, type KeyRing, standingOf } from './audit-verify-jws.ts'

/** Seals under one key that cannot be believed on their own: the first of them, and how many. */
interface Doubtful {
  readonly line: number
  readonly seal: number
  readonly why: string
  count: number
}

export interface SealPlace {
  readonly line: number
  /** It holds the hash of the seal before it. */
  readonly joins: boolean
  /** The same head was written outside the database. */
  readonly isOutside: boolean
}

/**
 * Checks the signature of every head. A key that is not in the set leaves the seal unproven, whatever follows: nobody can tell
 * such a signature from random bytes. A seal under a revoked key is proven by a later seal of another key that joins it, or by
 * its head outside: with the leaked key alone, nobody can make either.
 */
export function createSignatures(keys: KeyRing, findings: Findings) {
  const unknown = new Map<string, Doubtful>()
  const revoked = new Map<string, Doubtful>()
  let vouched = 0

  const note = (doubtful: Map<string, Doubtful>, { kid, payload }: Jws<Head>, line: number, why: string): void => {
    const known = doubtful.get(kid)
    if (known === undefined) doubtful.set(kid, { line, seal: payload.number, why, count: 1 })
    else known.count += 1
  }

  const report = (doubtful: Map<string, Doubtful>, code: FindingCode, advice: string): void => {
    for (const [kid, { line, seal, count, why }] of doubtful) {
      const seals = count === 1 ? `Seal ${seal} is` : `${count} seals, from seal ${seal} on, are`
      findings.add(code, `${seals} signed with the key ${kid}, which ${why}. ${advice}`, { line, seal })
    }
    doubtful.clear()
  }

  const reportRevoked = (): void =>
    report(
      revoked,
      'seal.revoked_key',
      'Anybody who has that key could have made them, and no later seal of another key vouches for them: take a new export, or compare with heads from outside.',
    )

  return {
    add: (head: Jws<Head>, { line, joins, isOutside }: SealPlace): void => {
      if (!joins) reportRevoked()
      const { standing, why } = standingOf(head, head.payload.sealed_at, keys)
      if (standing === 'forged') {
        findings.add('seal.forged', `Seal ${head.payload.number} is forged: ${why}.`, {
          line,
          seal: head.payload.number,
        })
      } else if (standing === 'unknown') note(unknown, head, line, why)
      else if (standing === 'revoked') note(revoked, head, line, why)
      if (standing === 'good' || (standing === 'revoked' && isOutside)) {
        for (const { count } of revoked.values()) vouched += count
        revoked.clear()
      }
    },
    /** Returns how many seals of revoked keys others vouch for. */
    finish: (): number => {
      report(unknown, 'seal.unknown_key', fetchKeys)
      reportRevoked()
      return vouched
    },
  }
}

export const fetchKeys =
  'Fetch the current key set from /.well-known/jwks.json and verify again: a copy from before a rotation lacks the newer keys.'
