import { useSyncExternalStore } from 'react'
import { session, type User } from './session.ts'

/** Who is signed in; pages behind the sign-in alone are drawn with it. */
export function usePerson(): User {
  const state = useSyncExternalStore(session.subscribe, session.get)
  // After a sign-out the page is drawn once more, before the route leaves it.
  return state.status === 'signed-in' ? state.user : nobody
}

const nobody: User = {
  id: '',
  email: '',
  name: null,
  role: 'reviewer',
  is_active: false,
  created_at: '',
  updated_at: '',
}

/** Owners and admins. The service decides; this spares people buttons that it would refuse. */
export const manages = ({ role }: User): boolean => role === 'owner' || role === 'admin'

export const mayAudit = (user: User): boolean => manages(user) || user.role === 'auditor'
