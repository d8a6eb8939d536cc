import { createBatcher } from '../platform/batch.ts'
import { type Db, inTransaction } from '../platform/database/db.ts'
import { provesRollback } from '../platform/database/errors.ts'
import { newId } from '../platform/ids.ts'
import { type Channels, channelOf } from './channel.ts'
import { type EndedAttempt, leaseMs, settledAttempt, withoutReply } from './delivery.ts'
import * as store from './store.ts'

export type RecordAttempt = (attempt: EndedAttempt) => Promise<void>

/** Attempts that end together are recorded together: log, delivery, subject and event in one commit. */
export function createRecorder(db: Db, channels: Channels): RecordAttempt {
  const record = createBatcher<EndedAttempt, void>({
    name: 'attempt',
    concurrency: 2,
    aloneMs: 25,
    maxSize: 64,
    rolledBack: provesRollback,
    groupOf: ({ delivery }) => `${delivery.organizationId} ${delivery.channel}`,
    perform: (attempts) => recordBatch(db, channels, attempts),
  })
  return (attempt) => recordPersistently(record, attempt)
}

async function recordBatch(db: Db, channels: Channels, attempts: readonly EndedAttempt[]) {
  const [first] = attempts
  if (first === undefined) return []
  return inTransaction(db, { organizationId: first.delivery.organizationId }, async (tx) => {
    // Acts that lock both lock a subject before its deliveries; nothing here locks a subject.
    const { now, record } = channelOf(channels, first.delivery).recordOutcomes(
      tx,
      attempts.map(({ delivery: { organizationId, subjectId: id } }) => ({ organizationId, id })),
    )
    const settled = await store.settle(tx, attempts, now)
    await record(
      attempts.flatMap((attempt) => {
        const row = settled.get(attempt.id)
        return row === undefined ? [] : [settledAttempt(attempt, row)]
      }),
    )
    return attempts.map(() => ({ value: undefined }))
  })
}

/** The attempt was made, so recording it is retried for as long as the lease is ours. */
async function recordPersistently(record: RecordAttempt, attempt: EndedAttempt): Promise<void> {
  const until = Date.now() + leaseMs
  for (let pause = 100; ; pause = Math.min(2_000, pause * 2)) {
    try {
      return await record(attempt)
    } catch (error) {
      // The database refuses this record and always will: record the bare fact, or the delivery would be sent for ever.
      if (provesRollback(error) && attempt.result.reply !== '') return record(withoutReply(attempt, newId()))
      if (Date.now() + pause > until) throw error
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
}
