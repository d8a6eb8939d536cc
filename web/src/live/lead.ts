import { isRefused } from '../api/refused.ts'
import { createPoll } from './poll.ts'
import type { ChangeListener, Connection } from './source.ts'
import { openStream } from './stream.ts'

/** How often is asked while nothing is told: while a page of the group is seen, and while none is. */
const seenMs = 2_000
const hiddenMs = 30_000
/** How often is asked although everything is told. */
const toldMs = 60_000
/** Hints that follow one another sooner are answered by one poll. */
const gatherMs = 100
/** After a failure twice as long each time, up to this. */
const longestMs = 30_000

export interface LeadListener extends ChangeListener {
  /** How far the changes are read. */
  readonly reached: (since: string) => void
}

/** Reads what changes after `since`: at once when the stream hints at it, and from time to time. */
export function lead(since: string, listener: LeadListener, signal: AbortSignal) {
  const poll = createPoll(signal)
  let from = since
  let isOpen = false
  let isAsking = false
  let isWanted = false
  let failures = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  const ask = async (): Promise<void> => {
    const { requests, since: next } = await poll(from)
    // Somebody else may be signed in by now.
    signal.throwIfAborted()
    from = next
    listener.reached(next)
    if (requests === null) listener.missed()
    else if (requests.length > 0) listener.changed(requests)
    if (requests?.length !== 0 && !isOpen) listener.counts(null)
  }
  const state = (): Connection => (failures > 1 ? 'away' : isOpen ? 'live' : 'asking')
  const wait = (): number => {
    const usual = document.hidden ? hiddenMs : seenMs
    if (failures > 0) return Math.min(longestMs, usual * 2 ** failures)
    return isWanted ? gatherMs : isOpen ? toldMs : usual
  }
  const turn = async (): Promise<void> => {
    if (isAsking) {
      isWanted = true
      return
    }
    clearTimeout(timer)
    isAsking = true
    isWanted = false
    try {
      await ask()
      failures = 0
    } catch (error) {
      if (!isRefused(error)) failures += 1
    }
    isAsking = false
    if (signal.aborted) return
    listener.connection(state())
    timer = setTimeout(turn, wait())
  }

  const close = openStream({
    hint: () => void turn(),
    counts: (counts) => listener.counts(counts),
    presence: (presence) => listener.presence(presence),
    open: (next) => {
      if (isOpen === next) return
      isOpen = next
      listener.presence(null)
      // Without a stream, soon. A short break is not told, because the browser connects again after two seconds.
      clearTimeout(timer)
      timer = setTimeout(turn, next ? 0 : seenMs * 2)
    },
  })
  signal.addEventListener('abort', () => {
    clearTimeout(timer)
    close()
  })
  void turn()
  return { look: (): void => void turn(), state }
}
