import { useCallback, useMemo, useRef, useState } from 'react'
import type { Request } from '../api/requests.ts'
import { extended, nothingSelected, selected, toggled } from '../bulk/selection.ts'

/**
 * What is selected of a list, of which `shown` are seen. Its functions stay the same, so that rows that did not change are not drawn
 * again.
 */
export function useSelection(requests: readonly Request[], shown: readonly Request[]) {
  const [selection, setSelection] = useState(nothingSelected)
  /** The rows have something to be pressed, for those who have no keys. */
  const [isAsked, setIsAsked] = useState(false)
  const latest = useRef(shown)
  latest.current = shown
  const { revisions } = selection
  // What left the list is not decided with the rest.
  const chosen = useMemo(
    () =>
      revisions.size === 0
        ? []
        : requests.flatMap((request) => {
            const revision = revisions.get(request.id)
            return revision === undefined ? [] : [{ request, revision }]
          }),
    [requests, revisions],
  )
  return {
    revisions,
    chosen,
    isOn: isAsked || revisions.size > 0,
    /** Without a row: offers to select, or no more. */
    toggle: useCallback((id: string | undefined): void => {
      const request = latest.current.find((each) => each.id === id)
      if (request === undefined) setIsAsked((before) => !before)
      else setSelection((before) => toggled(before, request))
    }, []),
    extend: useCallback((was: string | null, to: string): void => {
      setSelection((before) => extended(before, latest.current, was, to))
    }, []),
    add: useCallback((more: readonly Request[]): void => setSelection((before) => selected(before, more)), []),
    clear: useCallback((): void => {
      setSelection(nothingSelected)
      setIsAsked(false)
    }, []),
  }
}
