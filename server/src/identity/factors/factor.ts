/** What counts as a second factor. Recovery codes stand in for a lost one and count only beside one. */
export type SecondFactorMethod = 'passkey' | 'totp' | 'recovery_code'

/** How a person proves afresh that it is they: a second factor, or the password of whoever has none. */
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

/** The password alone is a factor only for who has no other: else it would be the way around the other. */
export function proofMethods(state: FactorState): readonly ProofMethod[] {
  const second = secondFactorMethods(state)
  return second.length > 0 || !state.hasPassword ? second : ['password']
}

/** Enough for every device a person owns, and a bound for what one account can store. */
export const maxPasskeys = 20
