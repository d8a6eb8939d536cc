import type { Email } from '../../platform/mail.ts'
import { visible } from '../../platform/visible-text.ts'

/** The receiver may not know this service at all, so each email says what to do if they did not ask for it. */
const notYou = 'If you did not ask for this, you can ignore this email: nothing changes unless the link is used.'

export function resetEmail(to: string, link: string, minutes: number): Email {
  return {
    to,
    subject: 'Choose a new password',
    text: `Somebody, hopefully you, asked for a new password for this address.

Choose one here within ${minutes} minutes; the link works once:
${link}

${notYou}
`,
  }
}

export function passwordChangedEmail(to: string, at: Date, forgotLink: string, factorsRemoved: boolean): Email {
  const removed = `
This was the first proof that the address is yours. Passkeys, authenticator apps, recovery codes and linked identities that
the account had before were removed, because somebody else may have added them. Add yours again.
`
  return {
    to,
    subject: 'Your password was changed',
    text: `The password of your account was changed at ${at.toISOString()}. All other sessions were ended.
${factorsRemoved ? removed : ''}
If it was not you, choose a new password now, and tell your administrator:
${forgotLink}
`,
  }
}

export function factorsRemovedEmail(to: string, at: Date): Email {
  return {
    to,
    subject: 'Your second factors were removed',
    text: `At ${at.toISOString()} the operator of this service removed the passkeys, authenticator apps and recovery codes of
your account, and ended its sessions. The operator will give you a link to choose a new password. Add your second factors
again afterwards.

If you did not ask for this, tell your administrator now.
`,
  }
}

export function verificationEmail(to: string, link: string): Email {
  return {
    to,
    subject: 'Confirm your address',
    text: `If you created an account with this address, please confirm that the address is yours. The link works once, for a day:
${link}

${notYou}
`,
  }
}

export function newAddressEmail(to: string, link: string): Email {
  return {
    to,
    subject: 'Confirm your new address',
    text: `Somebody, hopefully you, wants to sign in with this address from now on.

Confirm it within a day, and before you sign out where you asked for it; the link works once:
${link}

${notYou}
`,
  }
}

export function addressChangeRequestedEmail(to: string, at: Date): Email {
  return {
    to,
    subject: 'A new address was asked for',
    text: `At ${at.toISOString()} somebody who is signed in to your account, and knows its password, asked to change its address.
The account keeps this address until the new one is confirmed.

If it was not you, change your password now, and tell your administrator.
`,
  }
}

export function addressChangedEmail(to: string, at: Date): Email {
  return {
    to,
    subject: 'Your address was changed',
    text: `Your account stopped using this address at ${at.toISOString()}.

If it was not you, tell your administrator now.
`,
  }
}

interface Invited {
  readonly organization: string
  readonly role: string
  readonly until: Date
}

export function invitationEmail(
  to: string,
  { organization, role, until, link }: Invited & { readonly link: string },
): Email {
  return {
    to,
    subject: 'You are invited',
    text: `You are invited, as ${role}, to join the organization that calls itself:

    ${quoted(organization)}

Accept until ${until.toISOString()}; the link works once:
${link}

If you do not know what this is about, you can ignore this email.
`,
  }
}

export function hasAccountEmail(
  to: string,
  { organization, role, until, publicUrl, token }: Invited & { readonly publicUrl: string; readonly token: string },
): Email {
  return {
    to,
    subject: 'You have an account already',
    text: `Somebody, hopefully you, used an invitation to make an account with this address. It has one already, and nothing was
changed: sign in with the password you have, or choose a new one at ${publicUrl}/password/forgot

To join, as ${role}, the organization that calls itself

    ${quoted(organization)}

open this link until ${until.toISOString()}, and sign in there with your account:
${publicUrl}/setup#${token}

From now on the invitation is for you alone.

If you do not know what this is about, you can ignore this email.
`,
  }
}

/**
 * A name that somebody else chose, in an email to a stranger: data in quotes, on a line of its own, with what is invisible
 * made visible, and nothing that a mail program turns into a link: it takes `evil.example` for one even without a scheme.
 */
function quoted(name: string): string {
  const line = [...visible(name, 'line')].slice(0, 80).join('')
  return `"${line.replaceAll('"', "'").replace(/(?<=\S)[.@:](?=\S)/gu, (sign) => `[${sign}]`)}"`
}
