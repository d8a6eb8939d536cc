import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useSyncExternalStore } from 'react'
import { type Request, remember } from '../api/requests.ts'
import { session } from '../api/session.ts'
import { type ListRules, type Pages, withChanges } from './merge.ts'
import { forgetPresence, present } from './presence.ts'
import type { ChangeListener, Connection } from './source.ts'

let connection: Connection = 'connecting'
const listeners = new Set<() => void>()

export const useConnection = (): Connection =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => connection,
  )

/** Nothing can be decided, because the service does not answer. Whether there is a network says nothing: it may be on this very machine. */
export const isAway = (): boolean => connection === 'away' || session.seenAt() !== null

/** A list with filters is read again this long after a change, and not with each. */
const filteredMs = 2_000
/** Takes nothing new in. */
const none: ListRules = { name: '', fits: () => false, compare: () => 0 }

/** How it is shown: what was kept of an earlier visit is shown while the service is away, whatever was tried since. */
export const useShownConnection = (): Connection => {
  const seenAt = useSyncExternalStore(session.subscribe, session.seenAt)
  const tried = useConnection()
  return seenAt === null ? tried : 'away'
}

/** Keeps every list, request and count of the page current, from one source. It is loaded behind the first page. */
export function useLiveUpdates(lists: readonly ListRules[]): void {
  const client = useQueryClient()
  useEffect(() => {
    const listener: ChangeListener = {
      changed: (requests) => {
        for (const request of requests) remember(request)
        const now = new Date()
        for (const rules of lists) {
          client.setQueryData<Pages>(['requests', rules.name], (data) =>
            data === undefined ? undefined : withChanges(data, requests, rules, now),
          )
        }
        changeFiltered(requests)
      },
      missed: () => {
        for (const queryKey of [['requests'], ['request'], ['counts']]) void client.invalidateQueries({ queryKey })
      },
      counts: (counts) => {
        if (counts === null) void client.invalidateQueries({ queryKey: ['counts'] })
        else client.setQueryData(['counts'], counts)
      },
      presence: (presence) => {
        if (presence === null) forgetPresence()
        else present(presence)
      },
      connection: (state) => {
        if (state === connection) return
        connection = state
        for (const each of listeners) each()
      },
    }
    let soon: ReturnType<typeof setTimeout> | null = null
    /** Which requests a list with filters has, only the service knows: those it holds are changed, and others come with it. */
    const changeFiltered = (requests: readonly Request[]): void => {
      const isFiltered = ({ queryKey }: { readonly queryKey: readonly unknown[] }) => queryKey.length > 2
      const filtered = { queryKey: ['requests'], predicate: isFiltered }
      client.setQueriesData<Pages>(filtered, (data) =>
        data === undefined ? undefined : withChanges(data, requests, none, new Date()),
      )
      soon ??= setTimeout(() => {
        soon = null
        void client.invalidateQueries(filtered)
      }, filteredMs)
    }
    let end: (() => void) | null = null
    let isOver = false
    void import('./tabs.ts').then(({ followChanges }) => {
      if (!isOver) end = followChanges(listener)
    })
    return () => {
      isOver = true
      if (soon !== null) clearTimeout(soon)
      end?.()
      listener.connection('connecting')
    }
  }, [client, lists])
}
