import type { Tx } from '../../platform/database/db.ts'
import { type Page, pageOf } from '../../platform/page.ts'
import { withContext } from '../../platform/with-context.ts'
import type { Person } from '../principal.ts'
import { accept } from './accept.ts'
import { find, reserve, use } from './admission.ts'
import type { InvitationContext } from './context.ts'
import type { Invitation } from './invitation.ts'
import { create, createSetupLink, revoke } from './invite.ts'
import * as store from './store.ts'

export type Invitations = ReturnType<typeof createInvitations>

export function createInvitations(context: InvitationContext) {
  return withContext(context, { find, use, reserve, create, createSetupLink, expireSetupLinks, list, revoke, accept })
}

function expireSetupLinks({ clock }: InvitationContext, tx: Tx, organizationId: string): Promise<void> {
  return store.expireSetupLinks(tx, organizationId, clock.now())
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
