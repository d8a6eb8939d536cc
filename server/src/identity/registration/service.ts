import { unauthenticated } from '../../http/refusals.ts'
import { withContext } from '../../platform/with-context.ts'
import { userById } from '../accounts/store.ts'
import type { User } from '../accounts/user.ts'
import type { Person } from '../principal.ts'
import type { RegistrationContext } from './context.ts'
import { createAdmin, ensureUser, isInUseWithout } from './operator.ts'
import { register } from './register.ts'
import { ensureOrganization, setupToken } from './set-up.ts'

export type People = ReturnType<typeof createPeople>

export function createPeople(context: RegistrationContext) {
  return withContext(context, { register, me, ensureOrganization, setupToken, isInUseWithout, ensureUser, createAdmin })
}

async function me({ db }: RegistrationContext, { organizationId, userId }: Person): Promise<User> {
  const user = await userById(db.within({ organizationId }), organizationId, userId)
  if (user === null) throw unauthenticated()
  return user
}
