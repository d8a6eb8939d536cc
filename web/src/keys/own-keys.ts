/** Keys that a person chose for this browser, by the name of the act. */
export type OwnKeys = Readonly<Record<string, string>>

const storedAs = 'hitl-keys'
const longestKey = 20
const listeners = new Set<() => void>()
let current: OwnKeys | null = null

function read(): OwnKeys {
  try {
    const stored = JSON.parse(localStorage.getItem(storedAs) ?? '{}') as Readonly<Record<string, unknown>>
    const whole = Object.entries(stored).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1].length <= longestKey,
    )
    return Object.fromEntries(whole)
  } catch {
    return {}
  }
}

export const ownKeys = {
  get: (): OwnKeys => (current ??= read()),
  /** Null: the usual key. */
  set: (act: string, key: string | null): void => {
    const others = Object.entries(ownKeys.get()).filter(([name]) => name !== act)
    current = Object.fromEntries(key === null ? others : [...others, [act, key]])
    try {
      localStorage.setItem(storedAs, JSON.stringify(current))
    } catch {
      // Full or forbidden: they hold until the page is closed.
    }
    for (const listener of listeners) listener()
  },
  subscribe: (listener: () => void): (() => void) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
}
