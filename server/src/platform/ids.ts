import { randomFillSync } from 'node:crypto'
import { v7 } from 'uuid'

// Random bytes are fetched 256 ids at a time: one system call each made ids a thirtieth of a request's cost.
const idBytes = 16
const pool = Buffer.alloc(256 * idBytes)
let taken = pool.length
let lastMs = 0
let sequence = 0

/** Stands where an organization's id would, for what belongs to the installation as a whole. */
export const installationId = '00000000-0000-0000-0000-000000000000'

/** A new UUIDv7 (RFC 9562): sorts by creation time, which is what lists and primary-key indexes rely on. */
export function newId(): string {
  if (taken === pool.length) {
    randomFillSync(pool)
    taken = 0
  }
  const random = pool.subarray(taken, taken + idBytes)
  taken += idBytes
  const now = Date.now()
  // Within a millisecond (or when the clock steps back) the 32-bit counter keeps the order (RFC 9562, 6.2, method 1). It
  // starts at random in the lower half, so it cannot run over.
  if (now > lastMs) {
    lastMs = now
    sequence = random.readUInt32BE(0) >>> 1
  } else {
    sequence += 1
  }
  return v7({ random, msecs: lastMs, seq: sequence })
}
