import { Type } from 'typebox'
import { success } from '../../http/openapi.ts'
import { email } from '../accounts/schemas.ts'

const password = (description: string) => Type.String({ maxLength: 1_000, description })
const chosen = password('8 to 72 bytes in UTF-8; none of the most common ones.')
const token = Type.String({ minLength: 1, maxLength: 100, description: 'The part of the link after the #.' })

export const changePasswordBody = Type.Object(
  { current_password: password('The current one.'), new_password: chosen },
  { title: 'PasswordChange' },
)
export const forgotBody = Type.Object({ email }, { title: 'ForgottenPassword' })
export const resetBody = Type.Object({ token, password: chosen }, { title: 'PasswordReset' })
export const changeEmailBody = Type.Object(
  { email, current_password: Type.Optional(password('Required if you have one.')) },
  { title: 'EmailChange' },
)
export const confirmBody = Type.Object({ token }, { title: 'EmailConfirmation' })

export const done = (description: string) => ({ description, type: 'null' })

/** A 202 whose `detail` says what happens next. */
export const accepted = (detail: string) =>
  success(
    'Accepted',
    Type.Object({ detail: Type.String({ description: 'What happens next, in a sentence.' }) }, { title: 'Accepted' }),
    { detail },
  )
