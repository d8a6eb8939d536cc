import { useSyncExternalStore } from 'react'
import type { Request } from '../api/requests.ts'

/** The latest request that was put aside here, while that is told. */
export interface Snoozed {
  readonly request: Request
  readonly until: Date
  /** In the time of `performance.now()`. */
  readonly at: number
}

export interface Aside {
  /** What this person put aside, as far as this page knows. Requests do not say so, because it changes nothing about them. */
  readonly ids: ReadonlySet<string>
  readonly latest: Snoozed | null
}

const nothing: Aside = { ids: new Set(), latest: null }
let state = nothing
const listeners = new Set<() => void>()

export function become(changes: Partial<Aside>): void {
  state = { ...state, ...changes }
  for (const listener of listeners) listener()
}

export const aside = (): Aside => state
export const isAside = (id: string): boolean => state.ids.has(id)

export const useAside = (): Aside =>
  useSyncExternalStore((listener) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }, aside)

/** Another person put other requests aside. */
export const forgetAside = (): void => become(nothing)
export const dismissSnoozed = (): void => become({ latest: null })
