import { randomFillSync } from 'node:crypto'

const saltBytes = 16
// Fetched 256 at a time, as ids are (platform/ids.ts): one system call each costs more than the hash.
const pool = Buffer.alloc(256 * saltBytes)
let taken = pool.length

/** 128 random bits, in hex: what makes the hash of a short erasable text tell nothing about it. */
export function newSalt(): string {
  if (taken === pool.length) {
    randomFillSync(pool)
    taken = 0
  }
  taken += saltBytes
  return pool.toString('hex', taken - saltBytes, taken)
}
