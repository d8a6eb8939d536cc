import type { FactorDependencies } from './dependencies.ts'
import { createPasskeys } from './enrolment/passkeys.ts'
import { createRecoveryCodes } from './enrolment/recovery-codes.ts'
import { createTotpFactors } from './enrolment/totp.ts'
import { type FactorState, hasSecondFactor } from './factor.ts'
import { createCeremonies } from './passkeys/ceremonies.ts'
import type { Passkey } from './passkeys/passkey.ts'
import { passkeys as passkeysOf } from './passkeys/store.ts'
import { createProofs } from './proofs.ts'
import { recoveryCodes as recoveryCodesOf } from './recovery-codes/store.ts'
import { createSecondFactorSignIn } from './sign-in/service.ts'
import { createStepUps } from './step-ups/service.ts'
import { deleteUnfinished, factorState } from './store.ts'
import { type Totp, totpOf } from './totp/store.ts'

/** What a person sees of their own factors. */
export interface FactorList {
  readonly hasSecondFactor: boolean
  readonly totp: Totp | null
  readonly passkeys: readonly Passkey[]
  readonly recoveryCodes: { readonly remaining: number; readonly createdAt: Date } | null
}

export type Factors = ReturnType<typeof createFactors>

/** Second factors, the sign-in that asks for them, and the fresh proofs that sensitive acts need. */
export function createFactors(dependencies: FactorDependencies) {
  const { db, clock } = dependencies
  const ceremonies = createCeremonies(dependencies)
  const proofs = createProofs(dependencies, ceremonies)
  const context = { ...dependencies, proofs, ceremonies }
  return {
    totp: createTotpFactors(dependencies, proofs),
    passkeys: createPasskeys(dependencies, ceremonies),
    recoveryCodes: createRecoveryCodes(dependencies),
    stepUps: createStepUps(context),
    signIn: createSecondFactorSignIn(context),

    list: async (accountId: string): Promise<FactorList> => {
      const own = db.within({ accountId })
      const [state, totp, passkeys, recoveryCodes] = await Promise.all([
        factorState(own, accountId),
        totpOf(own, accountId, 'confirmed'),
        passkeysOf(own, accountId),
        recoveryCodesOf(own, accountId),
      ])
      return { hasSecondFactor: hasSecondFactor(state), totp, passkeys, recoveryCodes }
    },

    /** What the account can prove itself with. */
    state: (accountId: string): Promise<FactorState> => factorState(db.within({ accountId }), accountId),

    /** Deletes challenges, enrolments and step-ups that nobody finished in time; returns whether there may be more. */
    sweep: (limit = 1_000): Promise<boolean> => deleteUnfinished(db.within({ worker: true }), clock.now(), limit),
  }
}
