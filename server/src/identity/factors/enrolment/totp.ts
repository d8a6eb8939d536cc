import { inTransaction } from '../../../platform/database/db.ts'
import { newId } from '../../../platform/ids.ts'
import { refusal } from '../../../platform/problem.ts'
import { mayFinish } from '../../accounts/open-flows.ts'
import type { Caller, Person } from '../../principal.ts'
import { type FactorDependencies, scopeOf } from '../dependencies.ts'
import { factAbout } from '../fact.ts'
import { type ProofFlaw, type Proofs, proverOf, seedPlace } from '../proofs.ts'
import { assuranceJson } from '../step-up.ts'
import type { Permit } from '../step-ups/service.ts'
import { emailOf, lockAccount } from '../store.ts'
import * as store from '../totp/store.ts'
import { newTotpSeed, totpEnrolmentMinutes, totpStep, totpUri } from '../totp/totp.ts'
import { dropLoneRecoveryCodes } from './recovery-codes.ts'

export interface TotpEnrolment {
  readonly id: string
  /** Base 32; shown only once. */
  readonly seed: string
  readonly uri: string
  readonly expiresAt: Date
}

export const totpNotFound = refusal(404, 'totp.not_found', 'Authenticator app not found')

export const totpNotBegun = refusal(
  404,
  'totp.not_begun',
  'No authenticator app is being added under this id, or the time for its first code is over. Start again.',
)

export const totpCodeWrong = refusal(422, 'totp.code_wrong', {
  detail: 'This code is wrong. Enter the one that the app shows now, and check that its clock is right.',
  errors: [{ path: 'code', message: 'does not fit' }],
})

/** Authenticator apps: one at a time for each person. */
export function createTotpFactors({ db, clock, sealer, issuer, report }: FactorDependencies, proofs: Proofs) {
  const takeFirstCode = (
    by: Caller<Person>,
    begun: store.Totp,
    step: number | null,
    now: Date,
  ): Promise<ProofFlaw | null> =>
    inTransaction(db, scopeOf(by.principal), async (tx) => {
      if (step === null) {
        await report(tx, [factAbout(by, 'totp.refused', { after: { factor_id: begun.id, reason: 'wrong' } }, now)])
        return 'wrong'
      }
      await lockAccount(tx, by.principal)
      if (!(await mayFinish(tx, begun, now))) throw totpNotBegun()
      const earlier = await store.totpOf(tx, begun.accountId, 'confirmed')
      if (earlier !== null) await store.deleteTotp(tx, earlier)
      if (!(await store.confirmTotp(tx, begun, step, now))) throw totpNotBegun()
      const before = earlier === null ? null : { factor_id: earlier.id }
      const after = { factor_id: begun.id, assurance: assuranceJson(begun.assurance) }
      await report(tx, [factAbout(by, 'totp.confirmed', { before, after }, now)])
      return null
    })

  return {
    /** A new seed, which becomes a factor with its first code; until then an earlier app goes on working. */
    begin: async (by: Caller<Person>, permit: Permit): Promise<TotpEnrolment> => {
      const { accountId, sessionId = null } = by.principal
      const now = clock.now()
      const id = newId()
      const seed = newTotpSeed()
      const sealed = await sealer.seal(seed, seedPlace(id))
      const expiresAt = new Date(now.getTime() + totpEnrolmentMinutes * 60_000)
      const email = await inTransaction(db, scopeOf(by.principal), async (tx) => {
        await lockAccount(tx, by.principal)
        const assurance = await permit.use(tx)
        await store.beginTotp(tx, {
          accountId,
          id,
          seed: sealed,
          confirmedAt: null,
          expiresAt,
          lastUsedAt: null,
          sessionId,
          assurance,
          createdAt: now,
        })
        const after = { factor_id: id, expires_at: expiresAt, assurance: assuranceJson(assurance) }
        await report(tx, [{ ...factAbout(by, 'totp.begun', { after }, now), digest: permit.digest }])
        return emailOf(tx, accountId)
      })
      return { id, seed, uri: totpUri(seed, issuer, email ?? ''), expiresAt }
    },

    /** The app's first code makes it a factor, in place of an earlier one. */
    confirm: async (by: Caller<Person>, id: string, code: string): Promise<store.Totp> => {
      const { accountId, sessionId } = by.principal
      const now = clock.now()
      const begun = await store.totpOf(db.within({ accountId }), accountId, 'begun')
      if (begun === null || begun.id !== id.toLowerCase() || begun.sessionId !== sessionId) throw totpNotBegun()
      const seed = await sealer.open(begun.seed, seedPlace(begun.id))
      const flaw = await proofs.attempt(proverOf(by), () => takeFirstCode(by, begun, totpStep(seed, code, now), now))
      if (flaw !== null) throw totpCodeWrong()
      return { ...begun, confirmedAt: now, expiresAt: null, lastUsedAt: now }
    },

    remove: async (by: Caller<Person>, id: string, permit: Permit): Promise<void> => {
      const { accountId } = by.principal
      await inTransaction(db, scopeOf(by.principal), async (tx) => {
        await lockAccount(tx, by.principal)
        const totp = await store.totpOf(tx, accountId, 'confirmed')
        if (totp === null || totp.id !== id.toLowerCase()) throw totpNotFound()
        const assurance = assuranceJson(await permit.use(tx))
        await store.deleteTotp(tx, totp)
        const voided = await dropLoneRecoveryCodes(tx, accountId)
        const change = { before: { factor_id: totp.id }, after: { recovery_codes_voided: voided, assurance } }
        await report(tx, [{ ...factAbout(by, 'totp.removed', change, clock.now()), digest: permit.digest }])
      })
    },
  }
}
