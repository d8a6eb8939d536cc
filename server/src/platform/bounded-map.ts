/** A map for values that can be computed again. */
export interface BoundedMap<K, V> extends Pick<Map<K, V>, 'get' | 'delete' | 'keys' | 'clear'> {
  set(key: K, value: V): void
}

/** Is emptied at `max` entries, so that unknown keys cannot fill the memory. */
export function createBoundedMap<K, V>(max: number): BoundedMap<K, V> {
  const entries = new Map<K, V>()
  return {
    get: (key) => entries.get(key),
    set: (key, value) => {
      if (entries.size >= max) entries.clear()
      entries.set(key, value)
    },
    delete: (key) => entries.delete(key),
    keys: () => entries.keys(),
    clear: () => entries.clear(),
  }
}
