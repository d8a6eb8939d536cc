import type { Tx } from '../../platform/database/db.ts'
import { type Page, pageOf } from '../../platform/page.ts'
import type { Person } from '../principal.ts'
import { accept } from './accept.ts'
import { find, use } from './admission.ts'
import type { InvitationContext } from './context.ts'
import type { Invitation } from './invitation.ts'
import { create, createSetupLink, revoke } from './invite.ts'
import * as store from './store.ts'

export type Invitations = ReturnType<typeof createInvitations>

export function createInvitations(context: InvitationContext) {
  return {
    find: find.bind(null, context),
    use: use.bind(null, context),
    create: create.bind(null, context),
    createSetupLink: createSetupLink.bind(null, context),
    expireSetupLinks: (tx: Tx, organizationId: string): Promise<void> =>
      store.expireSetupLinks(tx, organizationId, context.clock.now()),
    list: list.bind(null, context),
    revoke: revoke.bind(null, context),
    accept: accept.bind(null, context),
  }
}

/** Invitations that can still be used, newest first. */
async function list(
  { db, clock }: InvitationContext,
  { organizationId }: Person,
  before: string | null,
  limit: number,
): Promise<Page<Invitation>> {
  const within = db.within({ organizationId })
  return pageOf(await store.openInvitations(within, organizationId, clock.now(), before, limit + 1), limit)
}
