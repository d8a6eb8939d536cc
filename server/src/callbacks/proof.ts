import { createHmac, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { NewDelivery } from '../deliveries/delivery.ts'

/** What a receiver gets, and for which request. The secret is bound to the request where it is sealed. */
export type Provable = Pick<NewDelivery, 'organizationId' | 'id' | 'subjectId' | 'address' | 'secret' | 'body'>

export interface CallbackProofs {
  of(callback: Provable): Buffer
  /** Whether the callback is what one of our processes put into the outbox. */
  holds(callback: Provable & { readonly proof: Buffer | null }): boolean
}

/**
 * The service signs what the outbox holds, so it must know its own callbacks from those that somebody with the database has put
 * or changed there. `secretKeys`: the current key, which makes proofs, first.
 */
export function createCallbackProofs(secretKeys: readonly [string, ...string[]]): CallbackProofs {
  const keyOf = (secretKey: string) =>
    createSecretKey(Buffer.from(hkdfSync('sha256', secretKey, '', 'hitl callback proof v1', 32)))
  const [current, ...previous] = [keyOf(secretKeys[0]), ...secretKeys.slice(1).map(keyOf)]
  const macOf = (key: typeof current, { organizationId, id, subjectId, address, secret, body }: Provable): Buffer =>
    createHmac('sha256', key)
      .update(`${JSON.stringify([organizationId, id, subjectId, address, secret !== null])}\n`)
      .update(body)
      .digest()
  return {
    of: (callback) => macOf(current, callback),
    holds: (callback) => {
      const { proof } = callback
      if (proof?.length !== 32) return false
      return [current, ...previous].some((key) => timingSafeEqual(macOf(key, callback), proof))
    },
  }
}
