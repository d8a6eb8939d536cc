import type { Tx } from '../platform/database/db.ts'
import type { AttemptResult, Delivery, SettledAttempt } from './delivery.ts'

/** A way to deliver. Each delivery names its channel. */
export interface Channel {
  /** Makes one attempt. Null: this service ended it, which counts against no one; another worker repeats it. */
  attempt(delivery: Delivery, startedAt: Date): Promise<AttemptResult | null>
  /**
   * Locks the subjects of the deliveries, as every act does before it touches anything else, and returns the function that
   * records on them how the attempts ended. Both happen in the transaction that records the attempts.
   */
  lockSubjects(
    tx: Tx,
    subjects: readonly { readonly organizationId: string; readonly id: string }[],
  ): (attempts: readonly SettledAttempt[]) => Promise<void>
  /** Ends the attempts under way. */
  close(): Promise<void>
}

export type Channels = ReadonlyMap<string, Channel>

export function channelOf(channels: Channels, { channel }: Pick<Delivery, 'channel'>): Channel {
  const found = channels.get(channel)
  if (found === undefined) throw new Error(`no channel is called ${channel}`)
  return found
}
