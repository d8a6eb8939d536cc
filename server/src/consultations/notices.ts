import type { Context } from './context.ts'
import { changedOrganizations, type Notice, noticesAfter } from './notice-store.ts'
import { counts } from './reading.ts'

/** Where a reader stands: a time in milliseconds, and the id of a request that changed then. */
interface Place {
  readonly ms: number
  readonly id: string
}

/** The changes of an organization, for its open inboxes (realtime/feed.ts). */
export function createNotices(context: Pick<Context, 'workerDb' | 'clock'>) {
  const { workerDb: db, clock } = context
  return {
    changesAfter: async (organizationId: string, { ms, id }: Place, until: Date, most: number) => {
      const after = { at: new Date(ms), id }
      const notices = await noticesAfter(db.within({ organizationId }), organizationId, after, until, most)
      return (
        notices?.map((notice) => ({
          at: { ms: notice.updatedAt.getTime(), id: notice.id },
          createdMs: notice.createdAt.getTime(),
          json: noticeJson(notice),
        })) ?? null
      )
    },
    changedOrganizations: (since: ReadonlyMap<string, Place>) => {
      const asked = [...since].map(([organizationId, { ms }]) => ({ organizationId, after: new Date(ms) }))
      return changedOrganizations(db.within({}), asked)
    },
    countsOf: async (organizationId: string, userIds: readonly string[]) => {
      const countsOf = await counts({ db, clock }, organizationId, userIds)
      return (userId: string): string => JSON.stringify(countsOf(userId))
    },
  }
}

function noticeJson(notice: Notice): string {
  const { id, title, state, revision, risk, priority } = notice
  return JSON.stringify({
    id,
    title,
    state,
    revision,
    risk,
    priority,
    agent_id: notice.agentId,
    timeout_at: notice.timeoutAt,
    held_until: notice.heldUntil,
    responded_by: notice.responderId,
    created_at: notice.createdAt,
    updated_at: notice.updatedAt,
  })
}
