import { useSyncExternalStore } from 'react'
import { type Language, languages } from '../words/language.ts'

/** What a person chose for this browser alone. */
export interface Preferences {
  readonly language: 'system' | Language
  readonly theme: 'system' | 'light' | 'dark'
  readonly density: 'comfortable' | 'compact'
  /** Whether keys without Ctrl, Cmd or Alt do anything (WCAG 2.2, 2.1.4). */
  readonly singleKeys: 'on' | 'off'
}

const allowed: { readonly [K in keyof Preferences]: readonly Preferences[K][] } = {
  language: ['system', ...(Object.keys(languages) as Language[])],
  theme: ['system', 'light', 'dark'],
  density: ['comfortable', 'compact'],
  singleKeys: ['on', 'off'],
}
const defaults: Preferences = { language: 'system', theme: 'system', density: 'comfortable', singleKeys: 'on' }
const storedAs = 'hitl-preferences'

function read(): Preferences {
  try {
    const stored = JSON.parse(localStorage.getItem(storedAs) ?? '{}') as Readonly<Record<string, unknown>>
    const known = Object.entries(allowed).filter(([name, values]) =>
      (values as readonly unknown[]).includes(stored[name]),
    )
    return { ...defaults, ...Object.fromEntries(known.map(([name]) => [name, stored[name]])) }
  } catch {
    return defaults
  }
}

let current = read()
const listeners = new Set<() => void>()

function apply(): void {
  const root = document.documentElement
  if (current.theme === 'system') delete root.dataset.theme
  else root.dataset.theme = current.theme
  root.dataset.density = current.density
  for (const listener of listeners) listener()
}
apply()

// Another tab changed them.
addEventListener('storage', ({ key }) => {
  if (key !== storedAs) return
  current = read()
  apply()
})

export const preferences = {
  get: (): Preferences => current,
  set: (changes: Partial<Preferences>): void => {
    current = { ...current, ...changes }
    try {
      localStorage.setItem(storedAs, JSON.stringify(current))
    } catch {
      // Full or forbidden: they hold until the page is closed.
    }
    apply()
  },
  subscribe: (listener: () => void): (() => void) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
}

export const usePreferences = (): Preferences => useSyncExternalStore(preferences.subscribe, preferences.get)
