import '../words/later.ts'
import { useMutation } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { granted } from '../api/refused.ts'
import { anyone } from '../api/session.ts'
import { Button } from '../design/button.tsx'
import { Field } from '../design/field.tsx'
import { Trouble } from '../design/trouble.tsx'
import { say } from '../words/say.ts'
import { Frame, Step } from './frame.tsx'

export function ForgotPage() {
  const asking = useMutation({
    mutationFn: (form: FormData) =>
      granted(anyone.POST('/api/v1/auth/password/forgot', { body: { email: String(form.get('email')).trim() } })),
  })
  return (
    <Frame>
      {asking.isSuccess ? (
        <Step key="sent" title={say('forgot.sent.title')} about={say('forgot.sent')} takesFocus>
          <SignInLink />
        </Step>
      ) : (
        <Step key="ask" title={say('forgot.title')} about={say('forgot.about')} onSend={asking.mutate}>
          <Field label={say('sign_in.email')} name="email" type="email" autoComplete="username" required autoFocus />
          <Button kind="primary" type="submit" disabled={asking.isPending}>
            {say('forgot.button')}
          </Button>
          <Trouble of={asking.error} />
          <SignInLink />
        </Step>
      )}
    </Frame>
  )
}

export function SignInLink() {
  return (
    <Link to="/sign-in" search={{ to: '/' }} className="text-mute text-small underline underline-offset-2">
      {say('account.to_sign_in')}
    </Link>
  )
}
