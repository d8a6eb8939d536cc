import { invalid } from '../../platform/problem.ts'
import { isCommonPassword } from './common-passwords.ts'
import { checkPassword, emailKey, passwordForm } from './user.ts'

/** The password of the sample data, which everyone who reads this repository knows. */
const samplePassword = 'password123'

/**
 * Checks a password that is about to be chosen; those in use are not checked again. Throws 422 naming the field. Outside
 * production the sample password passes, so that clients can try things out with it.
 */
export type NewPasswordCheck = (password: string, email: string, field?: string) => string

export function createNewPasswordCheck({ production }: { readonly production: boolean }): NewPasswordCheck {
  return (password, email, field = 'password') => {
    checkPassword(password, field)
    const key = passwordForm(password).toLowerCase()
    const [local] = emailKey(email).split('@')
    if (key === emailKey(email) || key === local) {
      throw invalid(field, 'must not be your own address: choose something that nobody knows about you')
    }
    const isSample = key === samplePassword && !production
    if (isCommonPassword(passwordForm(password)) && !isSample) {
      throw invalid(field, 'is one of the most common passwords, which attackers try first: choose another')
    }
    return password
  }
}
