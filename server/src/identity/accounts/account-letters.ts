import type { Letter } from '../../platform/mail.ts'

/** Every letter says what to do when one did not ask for it: the receiver may not know this service at all. */
const notYou = 'If you did not ask for this, you can ignore this letter: nothing changes without the link.'

export function resetLetter(to: string, link: string, minutes: number): Letter {
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

export function passwordChangedLetter(to: string, at: Date, forgotLink: string, factorsRemoved: boolean): Letter {
  const removed = `
This was the first proof that the address is yours. Passkeys, authenticator apps, recovery codes and linked identities that
the account had before were removed, as somebody else may have added them. Add yours again.
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

export function factorsRemovedLetter(to: string, at: Date): Letter {
  return {
    to,
    subject: 'Your second factors were removed',
    text: `At ${at.toISOString()} whoever runs this service removed the passkeys, authenticator apps and recovery codes of your account,
and ended its sessions. You get a link from them to choose a new password. Add your second factors again afterwards.

If you did not ask for this, tell your administrator now.
`,
  }
}

export function verificationLetter(to: string, link: string): Letter {
  return {
    to,
    subject: 'Confirm your address',
    text: `If you made an account with this address, please confirm that the address is yours. The link works once, for a day:
${link}

${notYou}
`,
  }
}

export function newAddressLetter(to: string, link: string): Letter {
  return {
    to,
    subject: 'Confirm your new address',
    text: `Somebody, hopefully you, wants to sign in with this address from now on.

Confirm it within a day; the link works once:
${link}

${notYou}
`,
  }
}

export function addressChangeAskedLetter(to: string, at: Date): Letter {
  return {
    to,
    subject: 'A new address was asked for',
    text: `At ${at.toISOString()} somebody who is signed in to your account, and knows its password, asked to change its address.
It stays this one until the new one is confirmed.

If it was not you, change your password now, and tell your administrator.
`,
  }
}

export function addressChangedLetter(to: string, at: Date): Letter {
  return {
    to,
    subject: 'Your address was changed',
    text: `Your account no longer uses this address since ${at.toISOString()}.

If it was not you, tell your administrator now.
`,
  }
}

export function invitationLetter(
  to: string,
  invitation: { readonly organization: string; readonly role: string; readonly link: string; readonly until: Date },
): Letter {
  // Whoever names an organization writes into other people's letters: one short line, and no address to click on.
  const organization = [...invitation.organization.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')].slice(0, 80).join('')
  const shown = organization.replace(/:\/\/|www\./gi, ' ')
  return {
    to,
    subject: 'You are invited',
    text: `You are invited to join the organization "${shown}" as ${invitation.role}.

Accept until ${invitation.until.toISOString()}; the link works once:
${invitation.link}

If you do not know what this is about, you can ignore this letter.
`,
  }
}
