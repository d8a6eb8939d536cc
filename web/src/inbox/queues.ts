import type { Schemas } from '../api/client.ts'
import type { Word } from '../words/say.ts'

/** What the list of a queue asks the service for. */
export interface QueueQuery {
  readonly state?: string
  readonly sort: 'due' | 'newest'
  readonly due_before?: string
}

export interface Queue {
  readonly name: string
  readonly label: Word
  /** The second key after `g`. */
  readonly key: string
  /** It is shown in the colour of risk while it is not empty. */
  readonly isUrgent: boolean
  /** Only what is open: what was decided leaves it. */
  readonly isOpen: boolean
  readonly query: (now: Date) => QueueQuery
  readonly count: (counts: Schemas['RequestCounts']) => number | null
}

/** As the service counts it: see `due_soon` of GET /requests/counts. */
export const dueSoonMs = 60 * 60_000

/** In the order of the navigation. A queue that the service learns is one more entry here. */
export const queues: readonly [Queue, ...Queue[]] = [
  {
    name: 'all',
    label: 'queue.all',
    key: 'a',
    isUrgent: false,
    isOpen: true,
    query: () => ({ state: 'pending', sort: 'due' }),
    count: ({ queues: { all } }) => all,
  },
  {
    name: 'due-soon',
    label: 'queue.due_soon',
    key: 's',
    isUrgent: true,
    isOpen: true,
    query: (now) => ({
      state: 'pending',
      sort: 'due',
      due_before: new Date(now.getTime() + dueSoonMs).toISOString(),
    }),
    count: ({ queues: { due_soon } }) => due_soon,
  },
  {
    name: 'latest',
    label: 'queue.latest',
    key: 'd',
    isUrgent: false,
    isOpen: false,
    query: () => ({ sort: 'newest' }),
    count: () => null,
  },
]

export const queueOf = (name: string): Queue => queues.find((queue) => queue.name === name) ?? queues[0]
