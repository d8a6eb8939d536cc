import { createBoundedMap } from '../platform/bounded-map.ts'

/**
 * What a credential stood for a moment ago. The product promises "revoked within a second everywhere", so an entry lives 800
 * ms from the *start* of its look-up; the rest of the second is for the look-up that replaces it. Concurrent misses share
 * one look-up.
 */
export interface CredentialCache<T> {
  get(key: string): Promise<T>
  /** Forgets everything that was looked up under a key with this id in it. */
  forget(id: string): void
  forgetAll(): void
}

const livesMs = 800
const maxEntries = 10_000

export function createCredentialCache<T>(lookUp: (key: string) => Promise<T>): CredentialCache<T> {
  const entries = createBoundedMap<string, { readonly value: Promise<T>; readonly until: number }>(maxEntries)
  return {
    get: (key) => {
      const startedAt = performance.now()
      const known = entries.get(key)
      if (known !== undefined && known.until > startedAt) return known.value
      const value = lookUp(key)
      entries.set(key, { value, until: startedAt + livesMs })
      // A failed look-up is not kept: the next caller asks again.
      value.catch(() => entries.get(key)?.value === value && entries.delete(key))
      return value
    },
    forget: (id) => {
      // Rare (a revocation), so a walk over at most ten thousand keys does.
      for (const key of entries.keys()) if (key.includes(id)) entries.delete(key)
    },
    forgetAll: () => entries.clear(),
  }
}
