import { useEffect, useMemo, useState } from 'react'
import { type Comparison, compare } from './lines.ts'

/** Below this many characters it takes a frame or two. */
const comparedAtOnce = 60_000
const atOnceMs = 100

/** The comparison; null while it is being made. */
export function useComparison(before: string, after: string): Comparison | null {
  const isSmall = before.length + after.length <= comparedAtOnce
  const small = useMemo(() => (isSmall ? compare(before, after, atOnceMs) : null), [before, after, isSmall])
  const [large, setLarge] = useState<Comparison | null>(null)
  useEffect(() => {
    if (isSmall) return
    setLarge(null)
    const worker = new Worker(new URL('./compare.worker.ts', import.meta.url), { type: 'module' })
    worker.onmessage = ({ data }: MessageEvent<Comparison>) => setLarge(data)
    worker.postMessage({ before, after })
    return () => worker.terminate()
  }, [before, after, isSmall])
  return small ?? large
}
