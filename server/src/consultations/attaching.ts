import { actorOf, type Caller, type Principal, payerOf } from '../identity/principal.ts'
import type { Tx } from '../platform/database/db.ts'
import { saveWithFiles, withheldFiles } from './answer-files.ts'
import * as files from './attached-files.ts'
import type { Context } from './context.ts'
import { digestAhead } from './digest.ts'
import { factOf, requestChange } from './facts.ts'
import { keyFor, type ReadContext, read, visibleTo } from './reading.ts'
import * as store from './store.ts'

/** Throws 404 when the caller may not see it, 409 unless it is open. */
export async function requireOpen(context: Context & ReadContext, principal: Principal, id: string): Promise<void> {
  files.requireOpen(await read(context, principal, id), context.clock.now(), principal.kind)
}

/** Throws 404 when the caller may not see it. Returns the ids of files that the caller must not know of yet. */
export async function requireVisible(
  context: ReadContext,
  principal: Principal,
  id: string,
): Promise<{ readonly withheld: readonly string[] }> {
  const found = await read(context, principal, id)
  return { withheld: principal.kind === 'agent' ? withheldFiles(found) : [] }
}

/**
 * As `requireOpen`, and until the transaction ends nobody answers it. Returns how files become a part of what is asked: each
 * changes the digest, under the lock that an answer takes as well, so an answer is either to what was asked before or refused.
 */
export async function lockOpen({ clock, events, openWrites, answerFiles }: Context, tx: Tx, by: Caller, id: string) {
  const end = openWrites.begin()
  tx.onCommit(end)
  tx.onRollback(end)
  const { principal } = by
  const { found } = await store.lock(tx, [keyFor(principal, id)])
  let current = visibleTo(principal, found[0] ?? null)
  files.requireOpen(current, clock.now(), principal.kind)
  const change = async (file: files.AttachedFile, kind: 'attachment.added' | 'attachment.removed'): Promise<void> => {
    // Both are computed in a thread where the question is large: the one that is stored, and the one that follows.
    await digestAhead(current, payerOf(principal))
    await digestAhead({ ...current, attachments: files.filesAfter(current, file, kind) }, payerOf(principal))
    const now = clock.now()
    const changed = files.changeAttachments(current, actorOf(principal), file, kind, now)
    current = changed.after
    await store.saveAttachments(tx, current)
    if (changed.answers !== undefined) await saveWithFiles(answerFiles, tx, [changed])
    await events.append(
      tx,
      changed.facts.map((fact) => factOf(current, fact, by, now)),
      [requestChange(changed)],
    )
  }
  return {
    attach: (file: files.AttachedFile) => change(file, 'attachment.added'),
    detach: (file: files.AttachedFile) => change(file, 'attachment.removed'),
  }
}
