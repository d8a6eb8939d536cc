import { useEffect } from 'react'
import { sendLooking } from '../api/presence.ts'
import { session } from '../api/session.ts'

/** Who moves on sooner does not look. */
const settledMs = 300
/** The service keeps it for 45 s. */
const againMs = 20_000

/** What the service was told last, and by whom. */
let said: { readonly id: string; readonly who: string } | null = null
let timer: ReturnType<typeof setTimeout> | undefined

function say(id: string | null): void {
  const who = session.who()
  const before = said
  said = id === null || who === null ? null : { id, who }
  // Nobody else takes back what somebody said.
  if (who === null || (id === null && before?.who !== who)) return
  // One that is lost is said again, or forgotten by the service.
  sendLooking(id).catch(() => undefined)
  if (id !== null) timer = setTimeout(() => say(id), againMs)
}

/** The person looks at this request now. */
export function look(id: string): void {
  clearTimeout(timer)
  timer = setTimeout(() => say(id), settledMs)
}

/** At none any more. `isHidden`: at once, because the page may be closing. */
export function lookAway(isHidden: boolean): void {
  clearTimeout(timer)
  if (isHidden) say(null)
  else timer = setTimeout(() => say(null), settledMs)
}

/** Tells others that the person looks at it, while the page is seen. */
export function useLook(id: string | null): void {
  useEffect(() => {
    if (id === null) return
    const follow = (): void => {
      if (document.hidden) lookAway(true)
      else look(id)
    }
    follow()
    document.addEventListener('visibilitychange', follow)
    return () => {
      document.removeEventListener('visibilitychange', follow)
      lookAway(false)
    }
  }, [id])
}
