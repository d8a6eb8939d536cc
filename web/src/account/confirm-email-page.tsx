import '../words/later.ts'
import { useMutation } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { granted } from '../api/refused.ts'
import { anyone } from '../api/session.ts'
import { Button } from '../design/button.tsx'
import { Trouble } from '../design/trouble.tsx'
import { say } from '../words/say.ts'
import { Frame, Step } from './frame.tsx'
import { forgetLinkToken, useLinkToken } from './link-token.ts'

/** A button, because programs that look into mail follow links, but press nothing. */
export function ConfirmEmailPage() {
  const token = useLinkToken()
  const confirming = useMutation({
    mutationFn: () => granted(anyone.POST('/api/v1/auth/email/confirm', { body: { token } })),
    onSuccess: forgetLinkToken,
  })
  return (
    <Frame>
      {confirming.isSuccess ? (
        <Step key="done" title={say('confirm_email.done.title')} about={say('confirm_email.done')} takesFocus>
          <Link to="/" className="text-mute text-small underline underline-offset-2">
            {say('app.to_inbox')}
          </Link>
        </Step>
      ) : (
        <Step
          key="ask"
          title={say('confirm_email.title')}
          about={say('confirm_email.about')}
          onSend={() => confirming.mutate()}
        >
          <Button kind="primary" type="submit" disabled={confirming.isPending}>
            {say('confirm_email.button')}
          </Button>
          <Trouble of={confirming.error} />
        </Step>
      )}
    </Frame>
  )
}
