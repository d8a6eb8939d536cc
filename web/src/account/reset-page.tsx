import '../words/later.ts'
import { useMutation } from '@tanstack/react-query'
import { granted } from '../api/refused.ts'
import { anyone, signedOut } from '../api/session.ts'
import { Button } from '../design/button.tsx'
import { Trouble } from '../design/trouble.tsx'
import { say } from '../words/say.ts'
import { SignInLink } from './forgot-page.tsx'
import { Frame, Step } from './frame.tsx'
import { forgetLinkToken, useLinkToken } from './link-token.ts'
import { NewPassword } from './new-password.tsx'

export function ResetPage() {
  const token = useLinkToken()
  const choosing = useMutation({
    mutationFn: (form: FormData) =>
      granted(anyone.POST('/api/v1/auth/password/reset', { body: { token, password: String(form.get('password')) } })),
    onSuccess: () => {
      forgetLinkToken()
      // It ended every session of the account, and this browser may have had one.
      signedOut()
    },
  })
  return (
    <Frame>
      {choosing.isSuccess ? (
        <Step key="done" title={say('reset.done.title')} about={say('reset.done')} takesFocus>
          <SignInLink />
        </Step>
      ) : (
        <Step key="choose" title={say('reset.title')} onSend={choosing.mutate}>
          <NewPassword />
          <Button kind="primary" type="submit" disabled={choosing.isPending}>
            {say('reset.button')}
          </Button>
          <Trouble of={choosing.error} />
          <SignInLink />
        </Step>
      )}
    </Frame>
  )
}
