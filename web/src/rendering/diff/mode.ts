import { useSyncExternalStore } from 'react'

export type DiffMode = 'unified' | 'split'

let mode: DiffMode = 'unified'
const listeners = new Set<() => void>()

/** How all comparisons are drawn, until the page is left. */
export const diffMode = {
  set: (next: DiffMode): void => {
    mode = next
    for (const listener of listeners) listener()
  },
  toggle: (): void => diffMode.set(mode === 'unified' ? 'split' : 'unified'),
}

export const useDiffMode = (): DiffMode =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => mode,
  )
