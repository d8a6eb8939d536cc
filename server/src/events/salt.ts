import { quickRandomBytes } from '../platform/random.ts'

/** 128 random bits, in hex: what makes the hash of a short erasable text tell nothing about it. */
export function newSalt(): string {
  return quickRandomBytes(16).toString('hex')
}
