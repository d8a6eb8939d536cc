import type { Tx } from '../../platform/database/db.ts'
import { installationId } from '../../platform/ids.ts'
import type { Place } from '../../platform/secrets/sealed-text.ts'
import type { Caller, Person } from '../principal.ts'
import type { FactorDependencies } from './dependencies.ts'
import type { ProofMethod } from './factor.ts'
import type { Ceremonies, Ceremony } from './passkeys/ceremonies.ts'
import type { AuthenticationResponseJSON } from './passkeys/passkey.ts'
import { takeSignCount } from './passkeys/store.ts'
import { hashRecoveryCode } from './recovery-codes/recovery-code.ts'
import { takeRecoveryCode } from './recovery-codes/store.ts'
import { passwordOf } from './store.ts'
import { takeTotpStep, totpOf } from './totp/store.ts'
import { totpStep } from './totp/totp.ts'

/** What a person proves themselves with. */
export type Proof =
  | { readonly method: 'password'; readonly password: string }
  | { readonly method: 'totp' | 'recovery_code'; readonly code: string }
  | { readonly method: 'passkey'; readonly assertion: AuthenticationResponseJSON }

/** For the audit; the person gets the same reply in every case. `copied`: a passkey's counter went back. */
export type ProofFlaw = 'wrong' | 'used' | 'challenge' | 'unknown' | 'copied'

/** A proof that was judged. It counts once `spend` has used it up, in the transaction of what it is for. */
export interface JudgedProof {
  readonly method: ProofMethod
  /** `counter_fell` is no flaw, but an event (`counterFell`). */
  readonly spend: (tx: Tx) => Promise<ProofFlaw | 'counter_fell' | null>
}

/** The account that a proof is for, and the address it came from. */
export interface Prover {
  readonly accountId: string
  readonly network: string | null
}

export function proverOf(by: Caller<Person>): Prover {
  return { accountId: by.principal.accountId, network: by.network ?? null }
}

export function seedPlace(factorId: string): Place {
  return { organizationId: installationId, table: 'totp_factors', column: 'seed', row: factorId }
}

export type Proofs = ReturnType<typeof createProofs>

export interface FactorContext extends FactorDependencies {
  readonly proofs: Proofs
  readonly ceremonies: Ceremonies
}

/** Judging is slow and happens outside any transaction; what may happen only once is left to `spend`. */
export function createProofs({ db, clock, sealer, passwords, attempts }: FactorDependencies, ceremonies: Ceremonies) {
  const flawed = (method: ProofMethod, flaw: ProofFlaw): JudgedProof => ({ method, spend: async () => flaw })

  const judgePassword = async ({ accountId, network }: Prover, password: string): Promise<JudgedProof> => {
    const hash = await passwordOf(db.within({ accountId }), accountId)
    // These people are signed in: in the queue for hashing they need not wait behind strangers.
    const matches = await passwords.verify(password, hash, { share: network ?? '', known: true })
    return matches ? { method: 'password', spend: async () => null } : flawed('password', 'wrong')
  }

  const judgeTotp = async (accountId: string, code: string): Promise<JudgedProof> => {
    const totp = await totpOf(db.within({ accountId }), accountId, 'confirmed')
    if (totp === null) return flawed('totp', 'unknown')
    const step = totpStep(await sealer.open(totp.seed, seedPlace(totp.id)), code, clock.now())
    if (step === null) return flawed('totp', 'wrong')
    return {
      method: 'totp',
      spend: async (tx) => ((await takeTotpStep(tx, totp, step, clock.now())) ? null : 'used'),
    }
  }

  const judgeRecoveryCode = (accountId: string, code: string): JudgedProof => {
    const hash = hashRecoveryCode(code)
    if (hash === null) return flawed('recovery_code', 'wrong')
    return {
      method: 'recovery_code',
      spend: async (tx) => ((await takeRecoveryCode(tx, accountId, hash, clock.now())) ? null : 'wrong'),
    }
  }

  const judgePasskey = async (response: AuthenticationResponseJSON, ceremony: Ceremony): Promise<JudgedProof> => {
    const judged = await ceremonies.judge(response, ceremony)
    if ('refused' in judged) return flawed('passkey', judged.refused)
    const { passkey, said } = judged
    return {
      method: 'passkey',
      spend: (tx) => takeSignCount(tx, passkey, said, clock.now()),
    }
  }

  return {
    judge: async (prover: Prover, proof: Proof, ceremony: Ceremony): Promise<JudgedProof> => {
      switch (proof.method) {
        case 'password':
          return judgePassword(prover, proof.password)
        case 'totp':
          return judgeTotp(prover.accountId, proof.code)
        case 'recovery_code':
          return judgeRecoveryCode(prover.accountId, proof.code)
        case 'passkey':
          return judgePasskey(proof.assertion, ceremony)
      }
    },

    /**
     * Runs one attempt, slowed down after failures; `work` returns null on success. The account is null while it is
     * unknown. Throws 429.
     */
    attempt: async (
      { accountId, network }: Omit<Prover, 'accountId'> & { readonly accountId: string | null },
      work: () => Promise<ProofFlaw | null>,
    ): Promise<ProofFlaw | null> => {
      let flaw: ProofFlaw | null = 'wrong'
      await attempts.prove({ kind: 'code', subject: accountId, network }, async () => {
        flaw = await work()
        return flaw === null
      })
      return flaw
    },
  }
}
