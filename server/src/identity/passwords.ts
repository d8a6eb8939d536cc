import { hash, verify } from '@node-rs/bcrypt'
import { unavailable } from '../platform/problem.ts'
import { passwordBytes } from './user.ts'

/** OWASP Password Storage asks for at least 10; 12 takes about 0.25 s of one core. */
const cost = 12

/** The hash of random bytes that nobody kept, at the same cost: unknown accounts take as long as known ones. */
const nobody = '$2b$12$afZ7zNYS1XV9boUNfUYOqugLQiFM6Gx/7Hzl.ynVEJNrjppE5JP8K'

export interface Passwords {
  hash(password: string): Promise<string>
  /** False for a wrong password and, after the same work, when there is no account (`hash` null). */
  verify(password: string, hash: string | null): Promise<boolean>
}

/**
 * Hashing behind a bounded queue: at most `parallel` hashes at once, so that a flood of logins cannot take all cores
 * from the API, and at most `maxWaiting` callers (about 16 s of work) before the next is told to come back.
 */
export function createPasswords(parallel = 1, maxWaiting = 64): Passwords {
  let running = 0
  const waiting: (() => void)[] = []

  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= parallel) {
      if (waiting.length >= maxWaiting) {
        throw unavailable('Too many people are signing in just now. Try again in a moment.')
      }
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else {
      running += 1
    }
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }

  return {
    hash: (password) => inTurn(() => hash(password, { cost, rejectLongPasswords: true })),
    verify: (password, stored) =>
      inTurn(async () => {
        const matches = await verify(password, stored ?? nobody)
        // bcrypt compares the first 72 bytes only: what is longer was never a password here.
        return matches && stored !== null && Buffer.byteLength(password) <= passwordBytes.max
      }),
  }
}
