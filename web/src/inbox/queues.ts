import type { Schemas } from '../api/client.ts'
import type { ListQuery, Request } from '../api/requests.ts'
import { isOpen, isRisky } from '../deciding/rules.ts'
import type { Act } from '../keys/bindings.ts'
import type { Word } from '../words/say.ts'

export interface Queue {
  readonly name: string
  readonly label: Word
  readonly act: Act
  /** It is shown in the colour of risk while it is not empty. */
  readonly isUrgent: boolean
  readonly query: (now: Date) => ListQuery
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

/** In the order of the navigation. A queue that the service learns is one more entry here. */
export const queues: readonly [Queue, ...Queue[]] = [
  {
    name: 'all',
    label: 'queue.all',
    act: 'goAll',
    isUrgent: false,
    query: () => ({ state: 'pending', sort: 'due' }),
    fits: isOpen,
    compare: byDue,
    count: ({ queues: { all } }) => all,
  },
  {
    name: 'due-soon',
    label: 'queue.due_soon',
    act: 'goDueSoon',
    isUrgent: true,
    query: (now) => ({
      state: 'pending',
      sort: 'due',
      due_before: new Date(now.getTime() + dueSoonMs).toISOString(),
    }),
    fits: (request, now) => isOpen(request) && isDueSoon(request, now),
    compare: byDue,
    count: ({ queues: { due_soon } }) => due_soon,
  },
  {
    name: 'high-risk',
    label: 'queue.high_risk',
    act: 'goHighRisk',
    isUrgent: true,
    query: () => ({ state: 'pending', sort: 'due', risk: 'high,critical' }),
    fits: (request) => isOpen(request) && isRisky(request),
    compare: byDue,
    count: ({ queues: { high_risk } }) => high_risk,
  },
  {
    name: 'latest',
    label: 'queue.latest',
    act: 'goLatest',
    isUrgent: false,
    query: () => ({ sort: 'newest' }),
    fits: () => true,
    compare: (one, other) => byId(other, one),
    count: () => null,
  },
]

export const queueOf = (name: string): Queue => queues.find((queue) => queue.name === name) ?? queues[0]
