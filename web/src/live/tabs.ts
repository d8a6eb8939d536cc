import { organizationQuery } from '../api/counts.ts'
import { publicPath } from '../api/public-path.ts'
import { queryClient } from '../api/query-client.ts'
import { session } from '../api/session.ts'
import { lead } from './lead.ts'
import { createPoll } from './poll.ts'
import { presences } from './presence.ts'
import type { ChangeListener, ChangeSource, Connection } from './source.ts'

type Told = {
  readonly [K in keyof ChangeListener]: readonly [K, ...Parameters<ChangeListener[K]>]
}[keyof ChangeListener]
type Message = Told | readonly ['reached', string] | readonly ['look'] | readonly ['joined']

/** Changes are read from so long before the page began, because the clocks of browser and service differ. */
const overlapMs = 60_000
/** A tab that is seen asks for its group this often while nothing is told. */
const seenMs = 2_000

/**
 * One stream for all tabs of a person: the tab that holds the lock has it and tells the others, because a browser opens six
 * connections to a service at most. When that tab is closed, the next one goes on from where it was.
 */
export const followChanges: ChangeSource = (listener) => {
  const stop = new AbortController()
  void follow(listener, stop.signal)
  return () => stop.abort()
}

/** Tabs of one person in one organization: the others may not see the same. */
async function groupName(): Promise<string> {
  const { id } = await queryClient.ensureQueryData(organizationQuery)
  const state = session.get()
  return `hitl-live ${publicPath} ${id} ${state.status === 'signed-in' ? state.user.id : ''}`
}

async function follow(listener: ChangeListener, signal: AbortSignal): Promise<void> {
  let since = new Date(Date.now() - overlapMs).toISOString()
  const name = await groupName().catch(() => null)
  // Somebody who is not told who they are waits for the page to be loaded again; lists say why they are empty.
  if (name === null || signal.aborted) return
  const channel = new BroadcastChannel(name)
  let leading: ReturnType<typeof lead> | null = null
  let state: Connection = 'connecting'

  const hear = (message: Message): void => {
    const [kind] = message
    if (kind === 'reached') since = message[1]
    else if (kind === 'changed') listener.changed(message[1])
    else if (kind === 'missed') listener.missed()
    else if (kind === 'counts') listener.counts(message[1])
    else if (kind === 'presence') listener.presence(message[1])
    else if (kind === 'connection') {
      state = message[1]
      listener.connection(state)
    } else if (kind === 'look') leading?.look()
    else if (leading !== null) {
      post(['connection', leading.state()])
      for (const presence of presences()) post(['presence', presence])
    }
  }
  const post = (message: Message): void => channel.postMessage(message)
  const tell = (message: Message): void => {
    post(message)
    hear(message)
  }
  channel.onmessage = ({ data }) => hear(data)

  const begin = (): void => {
    leading = lead(
      since,
      {
        reached: (next) => tell(['reached', next]),
        changed: (requests) => tell(['changed', requests]),
        missed: () => tell(['missed']),
        counts: (counts) => tell(['counts', counts]),
        presence: (presence) => tell(['presence', presence]),
        connection: (next) => tell(['connection', next]),
      },
      signal,
    )
  }
  const look = (): void => {
    if (document.hidden) return
    if (leading === null) post(['look'])
    else leading.look()
  }
  // The leader may be a tab that nobody looks at.
  const timer = setInterval(() => {
    if (leading === null && state !== 'live') look()
  }, seenMs)
  document.addEventListener('visibilitychange', look)
  addEventListener('online', look)
  signal.addEventListener('abort', () => {
    clearInterval(timer)
    document.removeEventListener('visibilitychange', look)
    removeEventListener('online', look)
    channel.close()
  })
  const untilStopped = (): Promise<void> =>
    new Promise((resolve) => {
      begin()
      signal.addEventListener('abort', () => resolve())
    })
  // Over plain HTTP a browser has no locks: each tab has a stream of its own there.
  if (!('locks' in navigator)) {
    channel.onmessage = null
    void untilStopped()
    return
  }
  post(['joined'])
  navigator.locks.request(name, { signal }, untilStopped).catch(() => undefined)
  // What changed between the first lists of this page and its first message.
  const { requests } = await createPoll(signal)(since).catch(() => ({ requests: [] }))
  if (signal.aborted) return
  if (requests === null) listener.missed()
  else listener.changed(requests)
}
