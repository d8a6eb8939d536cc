/** What counts as a second factor. Recovery codes stand in for a lost one and count only beside one. */
export type SecondFactorMethod = 'passkey' | 'totp' | 'recovery_code'

/** How people prove once more who they are: with a second factor, or with the password if they have none. */
export type ProofMethod = SecondFactorMethod | 'password'

/** What an account can prove itself with. */
export interface FactorState {
  readonly hasPassword: boolean
  readonly hasTotp: boolean
  readonly passkeys: number
  /** Unused ones. */
  readonly recoveryCodes: number
}

/** Strongest first; empty without a second factor. */
export function secondFactorMethods(state: FactorState): readonly SecondFactorMethod[] {
  if (!hasSecondFactor(state)) return []
  return [
    ...(state.passkeys > 0 ? (['passkey'] as const) : []),
    ...(state.hasTotp ? (['totp'] as const) : []),
    ...(state.recoveryCodes > 0 ? (['recovery_code'] as const) : []),
  ]
}

export function hasSecondFactor(state: FactorState): boolean {
  return state.hasTotp || state.passkeys > 0
}

/** The password counts only for people without a second factor; otherwise it would be a way around that factor. */
export function proofMethods(state: FactorState): readonly ProofMethod[] {
  const second = secondFactorMethods(state)
  return second.length > 0 || !state.hasPassword ? second : ['password']
}

/** Enough for every device a person owns, and a bound for what one account can store. */
export const maxPasskeys = 20
