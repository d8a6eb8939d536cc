import { queryClient } from '../api/query-client.ts'
import { isRefused } from '../api/refused.ts'
import type { Request } from '../api/requests.ts'
import { session } from '../api/session.ts'
import { sendSnooze, sendUnsnooze, snoozedPages } from '../api/snoozes.ts'
import { refuseAs } from '../deciding/decisions.ts'
import { type ListRules, type Pages, withChanges } from '../live/merge.ts'
import { say } from '../words/say.ts'
import { aside, become } from './aside.ts'

/** The latest act about each request that the service has not answered: the next one goes after it. */
const underWay = new Map<string, Promise<boolean>>()

type Lists = readonly ListRules[]

/** Where the request belongs now: into each list that it fits, in its place. */
function place(request: Request, lists: Lists): void {
  const newest = queryClient.getQueryData<Request>(['request', request.id]) ?? request
  const now = new Date()
  for (const rules of lists) {
    queryClient.setQueryData<Pages>(['requests', rules.name], (data) =>
      data === undefined ? undefined : withChanges(data, [newest], rules, now),
    )
  }
}

function set(request: Request, isAside: boolean, lists: Lists): void {
  const ids = new Set(aside().ids)
  if (isAside) ids.add(request.id)
  else ids.delete(request.id)
  become({ ids })
  place(request, lists)
}

/** Shows at once what an act leads to, and takes it back with a reason where the service refuses. */
async function act(request: Request, isAside: boolean, lists: Lists, send: () => Promise<unknown>): Promise<boolean> {
  const { id } = request
  const who = session.who()
  set(request, isAside, lists)
  const before = underWay.get(id)
  const sent = (async () => {
    await before
    try {
      await send()
      return session.who() === who
    } catch (error) {
      if (session.who() !== who) return false
      set(request, !isAside, lists)
      if (aside().latest?.request.id === id) become({ latest: null })
      refuseAs(request, isRefused(error) ? error.message : say('snoozed.unsent'))
      return false
    }
  })()
  underWay.set(id, sent)
  const stands = await sent
  if (underWay.get(id) === sent) underWay.delete(id)
  if (session.who() === who) void queryClient.invalidateQueries({ queryKey: ['counts'] })
  return stands
}

/** Out of this person's queues until then. */
export async function putAside(request: Request, until: Date, lists: Lists): Promise<void> {
  become({ latest: { request, until, at: performance.now() } })
  await setAside(request, until, lists)
}

/** That, for one of many, which are told as one. Whether it is put aside. */
export const setAside = (request: Request, until: Date, lists: Lists): Promise<boolean> =>
  act(request, true, lists, () => sendSnooze(request.id, until))

/** Whether it is back. */
export async function bringBack(request: Request, lists: Lists): Promise<boolean> {
  if (aside().latest?.request.id === request.id) become({ latest: null })
  return act(request, false, lists, () => sendUnsnooze(request.id))
}

/** What is put aside as the service has it: something was on another device, or its time has come. */
export async function readAside(lists: Lists): Promise<void> {
  const who = session.who()
  await Promise.all(underWay.values())
  const known = aside().ids
  const pages = await snoozedPages()
  // An act since then knows better; the count that follows it asks again.
  if (session.who() !== who || aside().ids !== known) return
  const held = queryClient.getQueryData<Pages>(['requests', 'snoozed'])?.pages.flatMap(({ items }) => items) ?? []
  const before = new Map((held as readonly Request[]).map((request) => [request.id, request]))
  const ids = new Set(pages.flatMap(({ items }) => items.map(({ id }) => id)))
  become({ ids })
  const pageParams = [null, ...pages.slice(0, -1).map(({ next_cursor }) => next_cursor)]
  queryClient.setQueryData<Pages>(['requests', 'snoozed'], { pages: [...pages], pageParams })
  const back = [...known].filter((id) => !ids.has(id))
  const requests = back.map((id) => before.get(id) ?? queryClient.getQueryData<Request>(['request', id]))
  for (const request of requests) if (request !== undefined) place(request, lists)
  if (requests.includes(undefined)) void queryClient.invalidateQueries({ queryKey: ['requests'] })
}
