import type { Letters } from '../../letters/service.ts'
import type { SealedLetter } from '../../letters/store.ts'
import type { Db } from '../../platform/database/db.ts'
import { hasAccountEmail, invitationEmail } from '../accounts/account-emails.ts'
import { accountByKey } from '../accounts/account-link-store.ts'
import { emailKey } from '../accounts/user.ts'
import { organizationById } from '../organizations/store.ts'
import type { Invitation } from './invitation.ts'

/** Letters about invitations, to be posted in the transaction of what they are about. Null where there is none to send. */
export interface InvitationMails {
  /** To the invited address, if there is one. */
  invited(invitation: Invitation, token: string, accountId: string): Promise<SealedLetter | null>
  /** To the owner of an account that somebody tried to register again with this invitation. */
  hasAccount(invitation: Invitation, token: string, address: string): Promise<SealedLetter | null>
}

export function createInvitationMails(dependencies: {
  readonly db: Db
  readonly letters: Letters
  readonly publicUrl: string
}): InvitationMails {
  const { db, letters, publicUrl } = dependencies
  const about = async ({ organizationId, role, expiresAt: until }: Invitation) => {
    const organization = await organizationById(db.within({ organizationId }), organizationId)
    return { organization: organization?.name ?? '', role, until }
  }
  const of = ({ organizationId, id, expiresAt: usefulUntil }: Invitation) =>
    ({ organizationId, about: ['invitation', id], usefulUntil }) as const
  return {
    invited: async (invitation, token, accountId) => {
      const { email: to } = invitation
      if (to === null || !letters.isOn) return null
      const email = invitationEmail(to, { ...(await about(invitation)), link: `${publicUrl}/setup#${token}` })
      return letters.seal({ ...email, ...of(invitation), kind: 'invitation', accountId })
    },
    hasAccount: async (invitation, token, address) => {
      const key = emailKey(address)
      const account = letters.isOn ? await accountByKey(db.within({ lookUp: key }), key) : null
      if (account === null) return null
      // To the address of the account, because one that is equal only in lower case may be another person's mailbox.
      const email = hasAccountEmail(account.email, { ...(await about(invitation)), publicUrl, token })
      return letters.seal({ ...email, ...of(invitation), kind: 'invited_account', accountId: null })
    },
  }
}
