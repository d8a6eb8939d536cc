import type { Request } from '../api/requests.ts'

export type Connection = 'live' | 'away'

/** Where changes come from: a poll today. It calls `changed` with what changed, and says whether the service is there. */
export type ChangeSource = (listener: {
  readonly changed: (requests: readonly Request[]) => void
  readonly connection: (state: Connection) => void
}) => () => void
