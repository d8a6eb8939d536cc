import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useSyncExternalStore } from 'react'
import { remember } from '../api/requests.ts'
import { type ListRules, type Pages, withChanges } from './merge.ts'
import { pollChanges } from './poll.ts'
import type { ChangeSource, Connection } from './source.ts'

let connection: Connection = 'live'
const listeners = new Set<() => void>()

export const useConnection = (): Connection =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => connection,
  )

/** Keeps every list, request and count of the page current, from one source. */
export function useLiveUpdates(lists: readonly ListRules[], source: ChangeSource = pollChanges): void {
  const client = useQueryClient()
  useEffect(
    () =>
      source({
        changed: (requests) => {
          for (const request of requests) remember(request)
          const now = new Date()
          for (const rules of lists) {
            client.setQueryData<Pages>(['requests', rules.name], (data) =>
              data === undefined ? undefined : withChanges(data, requests, rules, now),
            )
          }
          void client.invalidateQueries({ queryKey: ['counts'] })
        },
        connection: (state) => {
          if (state === connection) return
          connection = state
          for (const listener of listeners) listener()
        },
      }),
    [client, lists, source],
  )
}
