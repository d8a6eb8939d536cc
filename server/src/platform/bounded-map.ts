/** A map for values that can be computed again. */
export interface BoundedMap<K extends string, V> extends Pick<Map<K, V>, 'get' | 'delete' | 'keys' | 'clear'> {
  set(key: K, value: V): void
}

/** What a key may have on average: strangers choose some of them, and a header has up to 16 KiB. */
const keyCharacters = 256

/** Is emptied at `max` entries, or when their keys are too long in all, so that unknown keys cannot fill the memory. */
export function createBoundedMap<K extends string, V>(max: number): BoundedMap<K, V> {
  const entries = new Map<K, V>()
  let characters = 0
  const clear = (): void => {
    entries.clear()
    characters = 0
  }
  const remove = (key: K): boolean => {
    const wasThere = entries.delete(key)
    if (wasThere) characters -= key.length
    return wasThere
  }
  return {
    get: (key) => entries.get(key),
    set: (key, value) => {
      remove(key)
      if (entries.size >= max || characters + key.length > max * keyCharacters) clear()
      characters += key.length
      entries.set(key, value)
    },
    delete: remove,
    keys: () => entries.keys(),
    clear,
  }
}
