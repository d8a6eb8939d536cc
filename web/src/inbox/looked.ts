import { useEffect, useRef, useState } from 'react'
import type { Request } from '../api/requests.ts'

/** The revision of each request that the person looked at last, in this tab. */
const looked = new Map<string, number>()
/** More requests than a person comes back to. */
const mostKnown = 1_000

/** Another person did not look at them. */
export const forgetLooked = (): void => looked.clear()

function remember({ id, revision }: Request): void {
  looked.delete(id)
  looked.set(id, revision)
  const [oldest] = looked.keys()
  if (looked.size > mostKnown && oldest !== undefined) looked.delete(oldest)
}

/**
 * The revision that the person looked at before this one came, while they read or since they were here; null where it is the
 * first that they see. What is on the screen was looked at once they leave it, or say so.
 */
export function useLookedAt(request: Request | undefined): readonly [since: number | null, done: () => void] {
  const painted = useRef(request)
  const [, setTurn] = useState(0)
  const id = request?.id
  // biome-ignore lint/correctness/useExhaustiveDependencies: once per request that is read
  useEffect(() => {
    if (request === undefined) return
    if (!looked.has(request.id)) remember(request)
    return () => {
      const last = painted.current
      if (last !== undefined && last.id === id) remember(last)
    }
  }, [id])
  // Behind the one above, which still needs the request that was left.
  useEffect(() => {
    painted.current = request
  })
  const since = id === undefined ? undefined : looked.get(id)
  const done = (): void => {
    if (request === undefined) return
    remember(request)
    setTurn((turn) => turn + 1)
  }
  return [request === undefined || since === undefined || since >= request.revision ? null : since, done]
}
