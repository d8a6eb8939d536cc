import { unauthenticated } from '../../http/refusals.ts'
import { userById } from '../accounts/store.ts'
import type { User } from '../accounts/user.ts'
import type { Person } from '../principal.ts'
import type { RegistrationContext } from './context.ts'
import { createAdmin, ensureUser, isInUseWithout } from './operator.ts'
import { register } from './register.ts'
import { ensureOrganization, setupToken } from './set-up.ts'

export type People = ReturnType<typeof createPeople>

export function createPeople(context: RegistrationContext) {
  return {
    register: register.bind(null, context),
    me: me.bind(null, context),
    ensureOrganization: ensureOrganization.bind(null, context),
    setupToken: setupToken.bind(null, context),
    isInUseWithout: isInUseWithout.bind(null, context),
    ensureUser: ensureUser.bind(null, context),
    createAdmin: createAdmin.bind(null, context),
  }
}

async function me({ db }: RegistrationContext, { organizationId, userId }: Person): Promise<User> {
  const user = await userById(db.within({ organizationId }), organizationId, userId)
  if (user === null) throw unauthenticated()
  return user
}
