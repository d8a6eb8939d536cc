import { inTransaction } from '../../platform/database/db.ts'
import { invalid } from '../../platform/problem.ts'
import { bySession } from '../accounts/account-facts.ts'
import * as store from '../accounts/account-link-store.ts'
import type { Caller, Person } from '../principal.ts'
import type { RecoveryContext } from './context.ts'
import { noPassword, requirePassword, turnOf, wrongPassword } from './current-password.ts'
import { passwordChangedLetter, setPassword } from './set-password.ts'

/** A new password for a person who knows the current one. Their other sessions end. */
export async function changePassword(
  context: RecoveryContext,
  by: Caller<Person>,
  current: string,
  next: string,
): Promise<void> {
  const { db, passwords, checkNewPassword } = context
  const { accountId } = by.principal
  const account = await store.accountById(db.within({ accountId }), accountId)
  if (account?.passwordHash == null) throw noPassword()
  const { passwordHash: before, email } = account
  await requirePassword(context, by, { email, passwordHash: before }, current)
  checkNewPassword(next, email, 'new_password')
  if (next === current) throw invalid('new_password', 'must not be the current password')
  const passwordHash = await passwords.hash(next, turnOf(by.network))
  const letter = await passwordChangedLetter(context, account)
  await inTransaction(db, { accountId }, async (tx) => {
    const locked = await store.lockAccount(tx, accountId)
    // Another call was first: the password that was proven is not the current one any more.
    if (locked?.passwordHash !== before) throw wrongPassword()
    await setPassword(context, tx, accountId, passwordHash, bySession(by), 'password.changed')
    await context.letters.post(tx, letter)
  })
}
