import { bySystem } from '../../facts/fact.ts'
import { inTransaction } from '../../platform/database/db.ts'
import { invalid, Problem, refusal } from '../../platform/problem.ts'
import { isLine, lineRule } from '../../platform/visible-text.ts'
import * as store from '../accounts/store.ts'
import { checkPassword, emailKey, emailPattern, emailTaken, type User } from '../accounts/user.ts'
import { closing, organizationNotFound } from '../organizations/organization.ts'
import * as organizations from '../organizations/store.ts'
import type { Role } from '../principal.ts'
import type { RegistrationContext } from './context.ts'
import { addUser, type NewAccount, newUser } from './new-user.ts'
import { ensureOrganization } from './set-up.ts'

export const hasOwner = refusal(
  409,
  'organization.has_owner',
  'This organization has an owner already, and can have only one. Create an admin, or let the owner hand over.',
)

/** Whether there are members, and no account with this address. */
export async function isInUseWithout(context: RegistrationContext, email: string): Promise<boolean> {
  const organizationId = await ensureOrganization(context)
  if ((await findAccount(context, email)) !== null) return false
  return store.hasUsers(context.db.within({ organizationId }), organizationId)
}

/** For ADMIN_EMAIL and the sample data: creates the account if there is none; never changes an existing one. */
export async function ensureUser(context: RegistrationContext, input: NewAccount, role: Role): Promise<User> {
  const organizationId = await ensureOrganization(context)
  const known = await firstMembership(context, input.email)
  if (known !== null) return known
  const passwordHash = await context.passwords.hash(checkPassword(input.password))
  const user = newUser(context, organizationId, input, role)
  const added = await inTransaction(context.db, { organizationId, accountId: user.accountId }, async (tx) => {
    await organizations.lockFirstSetup(tx)
    await addUser(context, tx, user, passwordHash, bySystem(organizationId))
    return true
  }).catch((error: unknown) => {
    // Another process was first.
    if (error instanceof Problem && error.code === emailTaken.code) return false
    throw error
  })
  return added ? user : ((await firstMembership(context, input.email)) ?? user)
}

/** For the `hitl` command: a new account that runs an organization, by default the installation's first. */
export async function createAdmin(
  context: RegistrationContext,
  input: NewAccount,
  role: 'owner' | 'admin',
  inOrganization: string | null,
  httpRequestId: string,
): Promise<User> {
  if (!new RegExp(emailPattern, 'u').test(input.email)) throw invalid('email', 'must be an email address')
  if (!isLine(input.name ?? '')) throw invalid('name', lineRule)
  checkPassword(input.password)
  const organizationId = inOrganization ?? (await ensureOrganization(context))
  const user = newUser(context, organizationId, input, role)
  const passwordHash = await context.passwords.hash(input.password)
  return inTransaction(context.db, { organizationId, accountId: user.accountId }, async (tx) => {
    await organizations.lockFirstSetup(tx)
    const organization = await organizations.organizationById(tx, organizationId)
    if (organization === null) throw organizationNotFound(`There is no organization ${organizationId}.`)
    if (organization.deleteAfter !== null) throw closing()
    if (role === 'owner' && (await store.hasRole(tx, organizationId, ['owner']))) throw hasOwner()
    await addUser(context, tx, user, passwordHash, { ...bySystem(organizationId), httpRequestId })
    return user
  })
}

function findAccount({ db }: RegistrationContext, email: string): Promise<store.AccountForSignIn | null> {
  const key = emailKey(email)
  return store.accountByEmail(db.within({ lookUp: key }), key)
}

async function firstMembership(context: RegistrationContext, email: string): Promise<User | null> {
  const account = await findAccount(context, email)
  if (account === null) return null
  const [first] = await store.usersOfAccount(context.db.within({ accountId: account.id }), account.id)
  return first ?? null
}
