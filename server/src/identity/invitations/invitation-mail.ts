import { createBoundedMap } from '../../platform/bounded-map.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Db } from '../../platform/database/db.ts'
import type { Email, Mail } from '../../platform/mail.ts'
import { hasAccountEmail, invitationEmail } from '../accounts/account-emails.ts'
import { accountByKey } from '../accounts/account-link-store.ts'
import { emailKey } from '../accounts/user.ts'
import { organizationById } from '../organizations/store.ts'
import type { Invitation } from './invitation.ts'

/** Mail about invitations, where mail is set up. The caller does not wait for it. */
export interface InvitationMails {
  /** To the invited address, if there is one. */
  invited(invitation: Invitation, token: string): void
  /** To the owner of an account that somebody tried to register again with this invitation. */
  hasAccount(invitation: Invitation, token: string, address: string): void
}

/** Invitations are many, a mailbox is one. */
const hasAccountEveryMs = 3_600_000

export function createInvitationMails(dependencies: {
  readonly db: Db
  readonly clock: Clock
  readonly mail: Mail | null
  readonly publicUrl: string
}): InvitationMails {
  const { db, clock, mail, publicUrl } = dependencies
  const mailed = createBoundedMap<string, number>(10_000)
  const about = async ({ organizationId, role, expiresAt: until }: Invitation) => {
    const organization = await organizationById(db.within({ organizationId }), organizationId)
    return { organization: organization?.name ?? '', role, until }
  }
  // Links are shown to the inviter too; the log says why an email was not sent.
  const send = (made: Promise<Email | null>): void => {
    made.then((email) => (email === null ? undefined : mail?.send(email))).catch(() => {})
  }
  const toOwner = async (invitation: Invitation, token: string, address: string): Promise<Email | null> => {
    const key = emailKey(address)
    const now = clock.now().getTime()
    if (now - (mailed.get(key) ?? Number.NEGATIVE_INFINITY) < hasAccountEveryMs) return null
    mailed.set(key, now)
    const account = await accountByKey(db.within({ lookUp: key }), key)
    // To the address of the account, because one that is equal only in lower case may be another person's mailbox.
    return account && hasAccountEmail(account.email, { ...(await about(invitation)), publicUrl, token })
  }
  return {
    invited: (invitation, token) => {
      const { email } = invitation
      if (email === null || mail === null) return
      send(about(invitation).then((known) => invitationEmail(email, { ...known, link: `${publicUrl}/setup#${token}` })))
    },
    hasAccount: (invitation, token, address) => {
      if (mail !== null) send(toOwner(invitation, token, address))
    },
  }
}
