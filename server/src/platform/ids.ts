import { v7 } from 'uuid'
import { quickRandomBytes } from './random.ts'

let lastMs = 0
let sequence = 0

/** Used in place of an organization's id for what belongs to the installation as a whole. */
export const installationId = '00000000-0000-0000-0000-000000000000'

const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Whether a uuid column takes it as it is: not `urn:uuid:`, no braces. */
export function isId(text: string): boolean {
  return pattern.test(text)
}

/** A new UUIDv7 (RFC 9562): sorts by creation time, which is what lists and primary-key indexes rely on. */
export function newId(): string {
  const random = quickRandomBytes(16)
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
