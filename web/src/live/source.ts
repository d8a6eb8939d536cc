import type { Schemas } from '../api/client.ts'
import type { Presence } from '../api/presence.ts'
import type { Request } from '../api/requests.ts'

/**
 * connecting: nothing is known yet; live: told as it happens; asking: asked for every few seconds, because nothing is told; away:
 * the service does not answer.
 */
export type Connection = 'connecting' | 'live' | 'asking' | 'away'

export interface ChangeListener {
  readonly changed: (requests: readonly Request[]) => void
  /** More was missed than is worth reading one by one: the lists are read again. */
  readonly missed: () => void
  /** The numbers beside the queues; null: they may have changed. */
  readonly counts: (counts: Schemas['RequestCounts'] | null) => void
  /** Who looks at a request now; null: nothing is known any more. */
  readonly presence: (presence: Presence | null) => void
  readonly connection: (state: Connection) => void
}

/** Where changes come from. Returns what ends it. */
export type ChangeSource = (listener: ChangeListener) => () => void
