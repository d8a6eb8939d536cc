import type { InfiniteData, Query } from '@tanstack/react-query'
import { publicPath } from '../api/public-path.ts'
import { queryClient } from '../api/query-client.ts'
import { beforeSignOut, resume, session, type User } from '../api/session.ts'
import { bounded, type Entry, isKept } from './seen.ts'

/** One person's: whose it is, and what they saw last. */
interface Seen {
  readonly user: User
  readonly entries: readonly Entry[]
}

const name = `hitl-seen ${publicPath}`
/** The only record of the only store. */
const [store, record] = ['seen', 'last']

const opened = (): Promise<IDBDatabase> =>
  new Promise((resolve, reject) => {
    const opening = indexedDB.open(name, 1)
    opening.onupgradeneeded = () => opening.result.createObjectStore(store)
    opening.onsuccess = () => resolve(opening.result)
    opening.onerror = () => reject(opening.error)
  })

/**
 * Reads the record and writes it in one transaction, so that no other tab is between: null erases it, undefined leaves it.
 * Returns it as it was. A browser that keeps nothing, as some do in private windows, refuses.
 */
async function change(next: (before: Seen | undefined) => Seen | null | undefined): Promise<Seen | undefined> {
  const database = await opened()
  try {
    return await new Promise<Seen | undefined>((resolve, reject) => {
      const transaction = database.transaction(store, 'readwrite')
      const place = transaction.objectStore(store)
      const reading: IDBRequest<Seen | undefined> = place.get(record)
      reading.onsuccess = () => {
        const after = next(reading.result)
        if (after === null) place.clear()
        else if (after !== undefined) place.put(after, record)
      }
      transaction.oncomplete = () => resolve(reading.result)
      transaction.onabort = () => reject(transaction.error)
    })
  } finally {
    database.close()
  }
}

const quietly = (change: Promise<unknown>): void => void change.catch(() => undefined)

/** Nothing is kept any more, for nobody. */
const erase = async (): Promise<void> => void (await change(() => null))

/** The service named this person: what is kept is theirs from now on, and what another one saw is gone. */
const claim = (user: User): Promise<unknown> =>
  change((before) => (before?.user.id === user.id ? undefined : { user, entries: [] }))

/** Only where the record is this person's: after a sign-out in another tab there is none. */
const save = (): Promise<unknown> =>
  change((before) => {
    const state = session.get()
    if (state.status !== 'signed-in' || state.seenAt !== null || before?.user.id !== state.user.id) return undefined
    return { user: state.user, entries: bounded([...before.entries, ...current()], Date.now()) }
  })

/** As text once for each reply. */
const texts = new WeakMap<object, string>()

const current = (): readonly Entry[] =>
  queryClient
    .getQueryCache()
    .findAll({ predicate: ({ queryKey, state }) => isKept(queryKey) && state.data !== undefined })
    .map((query: Query) => {
      const { data, dataUpdatedAt } = query.state
      const text = texts.get(data as object) ?? JSON.stringify(firstPage(data))
      texts.set(data as object, text)
      return { at: dataUpdatedAt, key: query.queryKey, text }
    })

/** Of a list its first hundred, however far it was scrolled. */
function firstPage(data: unknown): unknown {
  const { pages, pageParams } = data as Partial<InfiniteData<unknown>>
  if (pages === undefined || pageParams === undefined) return data
  return { pages: pages.slice(0, 1), pageParams: pageParams.slice(0, 1) }
}

/** Many replies that follow one another are written once. */
const gatherMs = 2_000

/** What is shown is what was seen last, and the service has not answered since. */
let isOld = false

/** From now on, what the person of this page reads is kept; with their sign-out, and the sign-in of another one, it is gone. */
export function keepSeen(): void {
  const follow = (): void => {
    const state = session.get()
    if (state.status === 'signed-out') quietly(erase())
    if (state.status !== 'signed-in') return
    if (state.seenAt === null) {
      quietly(claim(state.user))
      if (isOld) void queryClient.invalidateQueries()
      isOld = false
    }
  }
  follow()
  session.subscribe(follow)
  beforeSignOut(erase)
  let timer: ReturnType<typeof setTimeout> | null = null
  const write = (): void => {
    if (timer !== null) clearTimeout(timer)
    timer = null
    quietly(save())
  }
  queryClient.getQueryCache().subscribe(({ type, query }) => {
    if (type === 'updated' && isKept(query.queryKey)) timer ??= setTimeout(write, gatherMs)
  })
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) write()
  })
}

/** Shows what was seen last, as the person who saw it, until the service answers. False: there is nothing. */
export async function restore(): Promise<boolean> {
  const kept = await change(() => undefined)
  const entries = bounded(kept?.entries ?? [], Date.now())
  // Without it the page would not follow what happens once the service is back.
  if (kept === undefined || !entries.some(({ key }) => key[0] === 'organization')) return false
  isOld = true
  // First, because another person's sign-in clears what the page holds.
  resume(kept.user, Math.max(...entries.map(({ at }) => at)))
  for (const { key, text, at } of entries) queryClient.setQueryData(key, JSON.parse(text), { updatedAt: at })
  return true
}
