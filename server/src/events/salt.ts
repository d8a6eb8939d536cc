import { quickRandomBytes } from '../platform/random.ts'

/** 128 random bits, in hex: with it, the hash of a short erasable text reveals nothing about the text. */
export function newSalt(): string {
  return quickRandomBytes(16).toString('hex')
}
