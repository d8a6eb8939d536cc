import type { App } from '../app.ts'
import { linkMinutes } from '../identity/accounts/account-link.ts'
import { userNotFound } from '../identity/accounts/user.ts'
import type { Recovered } from '../identity/recovery/account-recovery.ts'
import { type Output, type Run, textOption, UsageError } from './command.ts'
import { withApp } from './installation.ts'

export const run: Run = async (options, output) => {
  const email = textOption(options, 'email')
  if (email === null) throw new UsageError('admin recover needs --email.', 'See: hitl admin recover --help')
  return withApp((app) => recover(app, email, options['remove-second-factors'] === true, output))
}

async function recover(app: App, email: string, withSecondFactors: boolean, output: Output): Promise<undefined> {
  const recovered = await app.identity.accountRecovery.recover(email, withSecondFactors, 'hitl admin recover')
  if (recovered === null) throw nobody(email)
  const { link, removed } = recovered
  const facts = {
    email: recovered.email,
    link,
    valid_minutes: linkMinutes.password_reset,
    removed: removed && { totp: removed.totp, passkeys: removed.passkeys, recovery_codes: removed.recoveryCodes },
  }
  const lines = [
    ...(removed === null ? [] : [describe(removed)]),
    `${recovered.email} chooses a new password here, once, within ${linkMinutes.password_reset} minutes:`,
    link,
  ]
  output.result(facts, lines.join('\n'))
  output.note(
    'Hand it over in person or over a channel that only they can read: the first to open it gets the account.',
  )
  return undefined
}

function describe({ totp, passkeys, recoveryCodes }: NonNullable<Recovered['removed']>): string {
  const removed = `Removed: authenticator apps ${totp}, passkeys ${passkeys}, unused recovery codes ${recoveryCodes}.`
  return `${removed} All sessions have ended.`
}

function nobody(email: string) {
  const detail = `There is no account ${email}. Check the spelling, or create one with "hitl admin create".`
  return userNotFound(detail)
}
