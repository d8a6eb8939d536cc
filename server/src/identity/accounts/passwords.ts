import { hash, hashSync, verify } from '@node-rs/bcrypt'
import { createFairQueue, type Turn } from '../throttle/queue.ts'
import { passwordBytes, passwordForm, passwordLength } from './user.ts'

/** OWASP Password Storage asks for at least 10; 12 takes about 0.25 s of one core. */
const defaultCost = 12

/** The hash of random bytes that were thrown away, at the same cost: unknown accounts take as long as known ones. */
const nobody = '$2b$12$afZ7zNYS1XV9boUNfUYOqugLQiFM6Gx/7Hzl.ynVEJNrjppE5JP8K'

export interface Passwords {
  hash(password: string, turn?: Turn): Promise<string>
  /**
   * False for a wrong password and, after the same work, when there is no account (`hash` null). `around` runs within the
   * turn: it counts just before the work and settles just after it.
   */
  verify(
    password: string,
    hash: string | null,
    turn?: Turn,
    around?: (work: () => Promise<boolean>) => Promise<boolean>,
  ): Promise<boolean>
}

export interface PasswordOptions {
  /** Hashes at once: one, so that a flood of logins cannot take all cores from the API. */
  readonly parallel?: number
  /** Callers that may wait (about 16 s of work); the next one gets 503. */
  readonly maxWaiting?: number
  readonly cost?: number
}

/** The service's own work, and callers whose network is unknown. */
const nowhere: Turn = { share: '', known: false }

/** Hashing behind a bounded queue that networks share fairly. */
export function createPasswords(options: PasswordOptions = {}): Passwords {
  const { parallel = 1, maxWaiting = 64, cost = defaultCost } = options
  const queue = createFairQueue(parallel, maxWaiting)
  const missing = cost === defaultCost ? nobody : hashSync(nobody, { cost })

  return {
    hash: (password, turn = nowhere) =>
      queue.inTurn(turn, () => hash(passwordForm(password), { cost, rejectLongPasswords: true })),
    verify: (password, stored, turn = nowhere, around = (work) => work()) =>
      queue.inTurn(turn, () =>
        around(async () => {
          const matches = await verify(passwordForm(password), stored ?? missing)
          // bcrypt compares the first 72 bytes only: what is longer was never a password here.
          return matches && stored !== null && passwordLength(password) <= passwordBytes.max
        }),
      ),
  }
}
