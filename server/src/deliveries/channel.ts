import type { Tx } from '../platform/database/db.ts'
import type { AttemptResult, Delivery, SettledAttempt } from './delivery.ts'

/** A way to deliver. Each delivery names its channel. */
export interface Channel {
  /** Makes one attempt. Null: this service ended it, which counts against no one; another worker repeats it. */
  attempt(delivery: Delivery, startedAt: Date): Promise<AttemptResult | null>
  /**
   * Called first in the transaction that records attempts: reads the subjects of the deliveries, and returns the time of the
   * changes and the function that records what follows from them.
   */
  recordOutcomes(
    tx: Tx,
    subjects: readonly { readonly organizationId: string; readonly id: string }[],
  ): { readonly now: Date; readonly record: (attempts: readonly SettledAttempt[]) => Promise<void> }
  /** Ends the attempts under way. */
  close(): Promise<void>
}

export type Channels = ReadonlyMap<string, Channel>

export function channelOf(channels: Channels, { channel }: Pick<Delivery, 'channel'>): Channel {
  const found = channels.get(channel)
  if (found === undefined) throw new Error(`no channel is called ${channel}`)
  return found
}
