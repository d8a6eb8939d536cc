import type { Db } from '../../platform/database/db.ts'
import type { Mail } from '../../platform/mail.ts'
import { invitationLetter } from '../accounts/account-letters.ts'
import { organizationById } from '../organizations/store.ts'
import type { Invitation } from './invitation.ts'

/** Mails an invitation to the address it is for, if it is for one and mail is sent at all. Nobody waits for it. */
export type MailInvitation = (invitation: Invitation, token: string) => void

export function createInvitationMail(dependencies: {
  readonly db: Db
  readonly mail: Mail | null
  readonly publicUrl: string
}): MailInvitation {
  const { db, mail, publicUrl } = dependencies
  const send = async (to: string, { organizationId, role, expiresAt }: Invitation, token: string): Promise<void> => {
    const organization = await organizationById(db.within({ organizationId }), organizationId)
    const about = {
      organization: organization?.name ?? '',
      role,
      link: `${publicUrl}/setup#${token}`,
      until: expiresAt,
    }
    await mail?.send(invitationLetter(to, about))
  }
  return (invitation, token) => {
    if (invitation.email === null || mail === null) return
    // Whoever invites has the link in the reply, too; why a letter was not sent is in the log.
    send(invitation.email, invitation, token).catch(() => {})
  }
}
