import { say } from '../words/say.ts'

/** Roles that one person can give another; there is one owner, who hands the organization over. */
export const grantableRoles = ['reviewer', 'admin', 'auditor'] as const

const known = ['owner', ...grantableRoles] as const

/** A role that this version does not know is shown as the service spells it. */
export function roleWord(role: string): string {
  const found = known.find((each) => each === role)
  return found === undefined ? role : say(`role.${found}`)
}

export const roleOptions = (): [string, string][] => grantableRoles.map((role) => [role, say(`role.${role}`)])
