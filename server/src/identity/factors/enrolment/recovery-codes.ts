import { inTransaction, type Tx } from '../../../platform/database/db.ts'
import { refusal } from '../../../platform/problem.ts'
import type { Caller, Person } from '../../principal.ts'
import { type FactorDependencies, scopeOf } from '../dependencies.ts'
import { factAbout } from '../fact.ts'
import { hasSecondFactor } from '../factor.ts'
import { hashRecoveryCode, newRecoveryCodes } from '../recovery-codes/recovery-code.ts'
import * as store from '../recovery-codes/store.ts'
import { assuranceJson } from '../step-up.ts'
import type { Permit } from '../step-ups/service.ts'
import { factorState, lockAccount } from '../store.ts'

export const nothingToRecover = refusal(
  409,
  'recovery_codes.no_factor',
  'Recovery codes stand in for a passkey or an authenticator app: add one of those first.',
)

export function createRecoveryCodes({ db, clock, report }: FactorDependencies) {
  return {
    /** Ten codes, shown only once. All earlier ones stop working. */
    make: async (by: Caller<Person>, permit: Permit): Promise<readonly string[]> => {
      const { accountId } = by.principal
      const codes = newRecoveryCodes()
      const hashes = codes.flatMap((code) => hashRecoveryCode(code) ?? [])
      await inTransaction(db, scopeOf(by.principal), async (tx) => {
        await lockAccount(tx, by.principal)
        const state = await factorState(tx, accountId)
        if (!hasSecondFactor(state)) throw nothingToRecover()
        const assurance = assuranceJson(await permit.use(tx))
        const now = clock.now()
        await store.replaceRecoveryCodes(tx, accountId, hashes, now)
        const change = { before: { unused: state.recoveryCodes }, after: { unused: hashes.length, assurance } }
        await report(tx, [{ ...factAbout(by, 'recovery_codes.made', change, now), digest: permit.digest }])
      })
      return codes
    },
  }
}

/** Codes stand in for another factor: they are deleted with the last one, and adding a new factor does not revive them. */
export async function dropLoneRecoveryCodes(tx: Tx, accountId: string): Promise<number> {
  return hasSecondFactor(await factorState(tx, accountId)) ? 0 : store.deleteRecoveryCodes(tx, accountId)
}
