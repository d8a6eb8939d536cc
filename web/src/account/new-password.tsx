import { Field } from '../design/field.tsx'
import { say } from '../words/say.ts'

/** The service counts bytes and knows the common ones; these limits only spare a round trip. */
export function NewPassword({ name = 'password' }: { readonly name?: string }) {
  return (
    <Field
      label={say('account.new_password')}
      name={name}
      type="password"
      autoComplete="new-password"
      required
      minLength={8}
      maxLength={72}
    />
  )
}
