import { setTimeout as pause } from 'node:timers/promises'

/** The result of the work, or undefined when it is not done in time; either way no timer is left. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  const done = new AbortController()
  const late = pause(ms, undefined, { signal: done.signal }).catch(() => undefined)
  try {
    return await Promise.race([work, late])
  } finally {
    done.abort()
  }
}
