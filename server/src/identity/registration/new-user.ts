import { factBy, type Origin } from '../../facts/fact.ts'
import type { Tx } from '../../platform/database/db.ts'
import { newId } from '../../platform/ids.ts'
import * as store from '../accounts/store.ts'
import { emailTaken, type User } from '../accounts/user.ts'
import type { Role } from '../principal.ts'
import type { RegistrationContext } from './context.ts'

/** A person's account, as it is asked for. */
export interface NewAccount {
  readonly email: string
  readonly password: string
  readonly name?: string | null | undefined
}

export function newUser(
  { clock }: RegistrationContext,
  organizationId: string,
  { email, name = null }: NewAccount,
  role: Role,
): User {
  const now = clock.now()
  const ids = { organizationId, id: newId(), accountId: newId() }
  return { ...ids, email, name, role, isActive: true, createdAt: now, updatedAt: now }
}

/** Adds the account and its first membership. Throws 409 when the address has an account. */
export async function addUser(
  { report }: RegistrationContext,
  tx: Tx,
  user: User,
  passwordHash: string,
  origin: Origin,
  invitationId: string | null = null,
): Promise<void> {
  const account = { id: user.accountId, email: user.email, createdAt: user.createdAt }
  const isNew = (await store.insertAccount(tx, account, passwordHash)) && (await store.insertUser(tx, user))
  if (!isNew) throw emailTaken()
  await report(tx, [
    factBy(origin, 'user.registered', ['user', user.id], {
      after: { role: user.role, is_active: user.isActive, invitation_id: invitationId },
      occurredAt: user.createdAt,
    }),
  ])
}
