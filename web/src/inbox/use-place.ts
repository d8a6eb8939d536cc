import { useNavigate, useParams } from '@tanstack/react-router'
import { useCallback, useEffect, useRef, useState } from 'react'

/** A held key moves every 30 ms, and the router takes longer than that for each address: it follows once the key rests. */
const followsMs = 100

/** Which request is read. It is painted at once, and the address follows; where the address leads by itself, it is followed. */
export function usePlace(queue: string) {
  const { id: addressed } = useParams({ strict: false })
  const navigate = useNavigate()
  const [ahead, setAhead] = useState<string | null>(null)
  const going = useRef(addressed)
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null)
  const rest = useCallback((): void => {
    if (timer.current !== null) clearTimeout(timer.current)
    timer.current = null
  }, [])
  /** Where a link leads that was pressed just now. */
  const follow = useCallback(
    (id: string): void => {
      rest()
      going.current = id
      setAhead(id)
    },
    [rest],
  )
  // biome-ignore lint/correctness/useExhaustiveDependencies: when the address changes, and never before
  useEffect(() => {
    const isOurs = addressed === going.current
    // Our own address may arrive while the person is further on already.
    if (isOurs && timer.current !== null) return
    rest()
    going.current = addressed
    setAhead(null)
  }, [addressed])
  useEffect(() => rest, [rest])

  return {
    id: ahead ?? addressed,
    /** The person is there, and not on their way through many. */
    isAtRest: ahead === null,
    follow,
    go: (id: string): void => {
      rest()
      setAhead(id)
      timer.current = setTimeout(() => {
        timer.current = null
        going.current = id
        void navigate({
          to: '/inbox/$queue/$id',
          params: { queue, id },
          search: true,
          replace: addressed !== undefined,
        }).then(() => {
          // Also where they came back to, which changes no address.
          if (timer.current === null && going.current === id) setAhead(null)
        })
      }, followsMs)
    },
    /** To the list alone. */
    leave: (replace: boolean): void => {
      rest()
      going.current = undefined
      setAhead(null)
      void navigate({ to: '/inbox/$queue', params: { queue }, search: true, replace })
    },
  }
}
