import { begin, refresh, type SessionContext, switchTo } from './opening.ts'
import * as revocation from './revocation.ts'
import { deleteSessionsEndedBefore } from './store.ts'

export type Sessions = ReturnType<typeof createSessions>

export function createSessions(context: SessionContext) {
  return {
    begin: begin.bind(null, context),
    refresh: refresh.bind(null, context),
    switchTo: switchTo.bind(null, context),
    endIn: revocation.endIn.bind(null, context),
    end: revocation.end.bind(null, context),
    endByCookie: revocation.endByCookie.bind(null, context),
    own: revocation.own.bind(null, context),
    endOwn: revocation.endOwn.bind(null, context),
    endOthers: revocation.endOthers.bind(null, context),
    ofMember: revocation.ofMember.bind(null, context),
    endOfMember: revocation.endOfMember.bind(null, context),
    deleteEndedSessions: deleteEndedSessions.bind(null, context),
  }
}

const deletedAtOnce = 1_000

/** Deletes some of the sessions that ended a month ago; returns whether there may be more. */
async function deleteEndedSessions({ db, clock }: SessionContext): Promise<boolean> {
  const before = new Date(clock.now().getTime() - 30 * 86_400_000)
  const deleted = await deleteSessionsEndedBefore(db.within({ worker: true }), before, deletedAtOnce)
  return deleted === deletedAtOnce
}
