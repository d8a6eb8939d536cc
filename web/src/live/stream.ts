import type { Schemas } from '../api/client.ts'
import type { Presence } from '../api/presence.ts'
import { publicPath } from '../api/public-path.ts'

/** A stream that the service refused, as it does while it restarts, is asked for again after this. */
const againMs = 10_000

export interface StreamListener {
  /** Something changed, or may have. */
  readonly hint: () => void
  readonly counts: (counts: Schemas['RequestCounts']) => void
  readonly presence: (presence: Presence) => void
  readonly open: (isOpen: boolean) => void
}

/**
 * Hears from the service that something changed. What it was is asked for by `updated_after`, which brings requests whole, as
 * this person may see them; so a message that is lost costs time alone. The browser connects again by itself, with `Last-Event-ID`.
 */
export function openStream({ hint, counts, presence, open }: StreamListener): () => void {
  let source: EventSource
  let timer: ReturnType<typeof setTimeout> | undefined
  const connect = (): void => {
    source = new EventSource(`${publicPath}/api/v1/stream`)
    source.onopen = () => open(true)
    source.onerror = () => {
      open(false)
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, againMs)
    }
    for (const name of ['reset', 'request.new', 'request.changed']) source.addEventListener(name, hint)
    source.addEventListener('counts', ({ data }) => counts(JSON.parse(data)))
    source.addEventListener('presence', ({ data }) => presence(JSON.parse(data)))
  }
  connect()
  return () => {
    clearTimeout(timer)
    source.close()
  }
}
