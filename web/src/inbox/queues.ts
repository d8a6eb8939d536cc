import type { Schemas } from '../api/client.ts'
import type { ListQuery, Request } from '../api/requests.ts'
import { isOpen, isRisky } from '../deciding/rules.ts'
import type { Act } from '../keys/bindings.ts'
import { isAside } from '../snoozing/aside.ts'
import type { Word } from '../words/say.ts'

export interface Queue {
  readonly name: string
  readonly label: Word
  readonly act: Act
  /** It is shown in the colour of risk while it is not empty. */
  readonly isUrgent: boolean
  readonly query: ListQuery
  /** Whether a request belongs into it; what no longer does leaves the list. */
  readonly fits: (request: Request, now: Date) => boolean
  /** The service's order. */
  readonly compare: (one: Request, other: Request) => number
  readonly count: (counts: Schemas['RequestCounts']) => number | null
}

/** As the service counts it: see `due_soon` of GET /requests/counts. */
export const dueSoonMs = 60 * 60_000

/** Lists compare each change with what they hold, so a time is read once. */
const dues = new WeakMap<Request, number>()
function dueOf(request: Request): number {
  const known = dues.get(request)
  if (known !== undefined) return known
  const due = request.timeout_at === null ? Number.POSITIVE_INFINITY : Date.parse(request.timeout_at)
  dues.set(request, due)
  return due
}
const byId = (one: Request, other: Request): number => (one.id < other.id ? -1 : one.id > other.id ? 1 : 0)
const byDue = (one: Request, other: Request): number => {
  const [a, b] = [dueOf(one), dueOf(other)]
  return a === b ? byId(one, other) : a - b
}
const isDueSoon = (request: Request, now: Date): boolean => dueOf(request) <= now.getTime() + dueSoonMs

const byNewest = (one: Request, other: Request): number => byId(other, one)
/** Open, and not put aside by this person. */
const isWaiting = (request: Request): boolean => isOpen(request) && !isAside(request.id)

/** In the order of the navigation. A queue that the service learns is one more entry here. */
export const queues: readonly [Queue, ...Queue[]] = [
  {
    name: 'all',
    label: 'queue.all',
    act: 'goAll',
    isUrgent: false,
    query: { queue: 'all', sort: 'due' },
    fits: isWaiting,
    compare: byDue,
    count: ({ queues: { all } }) => all,
  },
  {
    name: 'due-soon',
    label: 'queue.due_soon',
    act: 'goDueSoon',
    isUrgent: true,
    query: { queue: 'due_soon', sort: 'due' },
    fits: (request, now) => isWaiting(request) && isDueSoon(request, now),
    compare: byDue,
    count: ({ queues: { due_soon } }) => due_soon,
  },
  {
    name: 'high-risk',
    label: 'queue.high_risk',
    act: 'goHighRisk',
    isUrgent: true,
    query: { queue: 'high_risk', sort: 'due' },
    fits: (request) => isWaiting(request) && isRisky(request),
    compare: byDue,
    count: ({ queues: { high_risk } }) => high_risk,
  },
  {
    name: 'latest',
    label: 'queue.latest',
    act: 'goLatest',
    isUrgent: false,
    query: { sort: 'newest' },
    fits: () => true,
    compare: byNewest,
    count: () => null,
  },
  {
    name: 'snoozed',
    label: 'queue.snoozed',
    act: 'goSnoozed',
    isUrgent: false,
    query: { queue: 'snoozed', sort: 'due' },
    fits: (request) => isOpen(request) && isAside(request.id),
    compare: byDue,
    count: ({ queues: { snoozed } }) => snoozed,
  },
  {
    name: 'done',
    label: 'queue.done',
    act: 'goDone',
    isUrgent: false,
    query: { queue: 'done', sort: 'newest' },
    fits: ({ state }) => state !== 'pending',
    compare: byNewest,
    count: ({ queues: { done } }) => done,
  },
]

export const queueOf = (name: string): Queue => queues.find((queue) => queue.name === name) ?? queues[0]

/** The queue of a list that the service knows by this name; null: every request. */
export const queueNamed = (queue: string | null): string =>
  (queue === null ? undefined : queues.find(({ query }) => query.queue === queue)?.name) ?? 'latest'
