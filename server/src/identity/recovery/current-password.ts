import { refusal } from '../../platform/problem.ts'
import { attemptNetwork } from '../accounts/account-facts.ts'
import { emailKey } from '../accounts/user.ts'
import type { Caller, Person } from '../principal.ts'
import type { RecoveryContext } from './context.ts'

/** Not 401: the session is fine. */
export const wrongPassword = refusal(403, 'password.wrong', 'The current password is not right. Nothing was changed.')
export const noPassword = refusal(409, 'password.none', {
  detail: 'This account has no password yet. Set one first, in the same way as after forgetting one.',
  extra: { how: 'Send POST /api/v1/auth/password/forgot.' },
})

/** Throws 403 for a wrong password, counted like a failed sign-in: a stolen session must not help to find the password. */
export async function requirePassword(
  { passwords, attempts }: RecoveryContext,
  by: Caller<Person>,
  account: { readonly email: string; readonly passwordHash: string },
  given: string,
): Promise<void> {
  const turn = turnOf(by.network)
  const attempter = { kind: 'password', subject: emailKey(account.email), network: turn.share } as const
  const prove = (work: () => Promise<boolean>) => attempts.prove(attempter, work)
  if (!(await passwords.verify(given, account.passwordHash, turn, prove))) throw wrongPassword()
}

export function turnOf(address: string | null | undefined) {
  return { share: attemptNetwork(address), known: false }
}
