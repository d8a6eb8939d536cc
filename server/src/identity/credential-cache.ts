/**
 * What a credential stood for a moment ago. "Revoked within a second everywhere" is the product's rule, so an entry lives
 * 800 ms from the *start* of its look-up; the rest of the second is for the look-up that replaces it.
 * Concurrent misses share one look-up. Bounded: unknown keys cannot fill the memory.
 */
export interface CredentialCache<T> {
  get(key: string): Promise<T>
  /** Forgets what was looked up for any key that names this id. */
  forget(id: string): void
  forgetAll(): void
}

const livesMs = 800
const maxEntries = 10_000

export function createCredentialCache<T>(lookUp: (key: string) => Promise<T>): CredentialCache<T> {
  const entries = new Map<string, { readonly value: Promise<T>; readonly until: number }>()
  return {
    get: (key) => {
      const startedAt = performance.now()
      const known = entries.get(key)
      if (known !== undefined && known.until > startedAt) return known.value
      if (entries.size >= maxEntries) entries.clear()
      const value = lookUp(key)
      entries.set(key, { value, until: startedAt + livesMs })
      // A failed look-up is nobody's answer: the next caller asks again.
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
