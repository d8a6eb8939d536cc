import { names, valuesOf } from '../../platform/names.ts'
import { invalid, refusal } from '../../platform/problem.ts'
import type { Role } from '../principal.ts'

/** The roles that an administrator can give: the owner changes by handing over only. */
export const grantableRoles = ['admin', 'reviewer', 'auditor'] as const satisfies readonly Role[]
export type GrantableRole = (typeof grantableRoles)[number]

export interface User {
  readonly organizationId: string
  readonly id: string
  /** How this person signs in, here and in other organizations. */
  readonly accountId: string
  readonly email: string
  readonly name: string | null
  readonly role: Role
  readonly isActive: boolean
  readonly createdAt: Date
  readonly updatedAt: Date
}

export const userNotFound = refusal(404, 'user.not_found', (detail?: string) => detail ?? 'User not found')
export const userInactive = refusal(409, 'user.inactive', 'This member is deactivated. Activate them first.')
export const emailTaken = refusal(409, 'auth.email_taken', 'Email already registered')

/** How a person signs in, whatever organizations they belong to. */
export interface Account {
  readonly id: string
  readonly email: string
  readonly createdAt: Date
}

/** bcrypt reads 72 bytes and would silently ignore the rest, so longer passwords are refused (OWASP Password Storage). */
export const passwordBytes = { min: 8, max: 72 } as const

/** One person's keyboards write é in one character or in two: both are the same password (RFC 8265, 4.2.2). */
export const passwordForm = (password: string): string => password.normalize('NFC')

/** Its length counts as it is hashed. */
export const passwordLength = (password: string): number => Buffer.byteLength(passwordForm(password), 'utf8')

export function checkPassword(password: string, field = 'password'): string {
  const bytes = passwordLength(password)
  if (bytes < passwordBytes.min || bytes > passwordBytes.max) {
    throw invalid(field, `must be ${passwordBytes.min} to ${passwordBytes.max} bytes long in UTF-8, not ${bytes}`)
  }
  return password
}

/** One @, something on both sides, no blanks, control or invisible characters, at most 254 characters (RFC 5321, 4.5.3.1.3). */
const notInAddress =
  '\\s@\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u115f\\u1160\\u180e\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164\\uffa0'
export const emailPattern = `^[^${notInAddress}]{1,64}@[^${notInAddress}]{1,189}$`

/** The form in which addresses are compared: "Admin@Example.com" and "admin@example.com" are one account. */
export function emailKey(email: string): string {
  return email.toLowerCase()
}

/** The wire's `User` (schemas.ts). */
export function userJson(user: User) {
  return valuesOf(user, userNames)
}

const userNames = names('id, email, name, role, is_active, created_at, updated_at')
