import type { Db } from '../../platform/database/db.ts'
import type { Mail } from '../../platform/mail.ts'
import { invitationEmail } from '../accounts/account-emails.ts'
import { organizationById } from '../organizations/store.ts'
import type { Invitation } from './invitation.ts'

/** Mails an invitation to its address, if it has one and mail is set up. The caller does not wait for it. */
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
    await mail?.send(invitationEmail(to, about))
  }
  return (invitation, token) => {
    if (invitation.email === null || mail === null) return
    // The inviter has the link in the reply too; the log says why an email was not sent.
    send(invitation.email, invitation, token).catch(() => {})
  }
}
