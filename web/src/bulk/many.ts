import { useSyncExternalStore } from 'react'
import type { Request } from '../api/requests.ts'
import type { Notice } from '../deciding/decisions.ts'

/** One act on many requests, from the key until it is over or taken back. */
export interface Many {
  readonly did: 'approve' | 'reject' | 'snooze'
  readonly requests: readonly Request[]
  /** In the time of `performance.now()`, as `heldUntil`. It tells one act from another, too. */
  readonly at: number
  readonly status: 'sending' | 'held' | 'released' | 'undoing'
  /** Until then all of it can be taken back. */
  readonly heldUntil: number
  /** Of which requests it did not stand, and why. */
  readonly failed: readonly Notice[]
}

let latest: Many | null = null
const listeners = new Set<() => void>()

function become(next: Many | null): void {
  latest = next
  for (const listener of listeners) listener()
}

export const latestMany = (): Many | null => latest

export const useMany = (): Many | null =>
  useSyncExternalStore((listener) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }, latestMany)

/** Takes the place of what was told before. */
export const beginMany = (many: Many): void => become(many)

/** Changes this act, unless another one took its place. */
export function changeMany({ at }: Many, changes: (before: Many) => Partial<Many>): void {
  if (latest?.at === at) become({ ...latest, ...changes(latest) })
}

/** It is told no more. */
export function endMany({ at }: Many): void {
  if (latest?.at === at) become(null)
}

/** Another person does not see it. */
export const forgetMany = (): void => become(null)

export const isUndoable = (many: Many | null): many is Many => many?.status === 'sending' || many?.status === 'held'
