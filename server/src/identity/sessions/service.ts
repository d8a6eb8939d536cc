import { withContext } from '../../platform/with-context.ts'
import { begin, refresh, type SessionContext, switchTo } from './opening.ts'
import * as revocation from './revocation.ts'
import { deleteSessionsEndedBefore } from './store.ts'

export type Sessions = ReturnType<typeof createSessions>

export function createSessions(context: SessionContext) {
  return withContext(context, {
    begin,
    refresh,
    switchTo,
    endIn: revocation.endIn,
    end: revocation.end,
    endByCookie: revocation.endByCookie,
    liveByCookie: revocation.liveByCookie,
    own: revocation.own,
    endOwn: revocation.endOwn,
    endOthers: revocation.endOthers,
    ofMember: revocation.ofMember,
    endOfMember: revocation.endOfMember,
    deleteEndedSessions,
  })
}

const deletedAtOnce = 1_000

/** Deletes some of the sessions that ended a month ago; returns whether there may be more. */
async function deleteEndedSessions({ db, clock }: SessionContext): Promise<boolean> {
  const before = new Date(clock.now().getTime() - 30 * 86_400_000)
  const deleted = await deleteSessionsEndedBefore(db.within({ worker: true }), before, deletedAtOnce)
  return deleted === deletedAtOnce
}
