import '../words/later.ts'
import { useMutation } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState, useSyncExternalStore } from 'react'
import { api } from '../api/client.ts'
import { granted, isRefused } from '../api/refused.ts'
import { anyone, session, signIn, signOut, switchOrganization, type User } from '../api/session.ts'
import { Button } from '../design/button.tsx'
import { Field } from '../design/field.tsx'
import { Trouble } from '../design/trouble.tsx'
import { say } from '../words/say.ts'
import { Frame, Step } from './frame.tsx'
import { forgetLinkToken, useLinkToken } from './link-token.ts'
import { NewPassword } from './new-password.tsx'
import { SignInForms } from './sign-in-forms.tsx'

/** Where the link of the first start leads, and every invitation: to a new account, or with the one that a person has. */
export function SetupPage() {
  const token = useLinkToken()
  const state = useSyncExternalStore(session.subscribe, session.get)
  const [hasAccount, setHasAccount] = useState(false)
  // Made here: it joined already, and joins no second time.
  const [isNew, setNew] = useState(false)
  return (
    <Frame>
      {state.status === 'signed-in' ? (
        isNew ? null : (
          <Join token={token} user={state.user} />
        )
      ) : hasAccount ? (
        <div className="grid gap-3">
          <SignInForms title={say('setup.sign_in.title')} about={say('setup.sign_in')} to="/setup" />
          <Button kind="quiet" onClick={() => setHasAccount(false)}>
            {say('setup.no_account')}
          </Button>
        </div>
      ) : (
        <NewAccount token={token} onNew={setNew} onAccount={() => setHasAccount(true)} />
      )}
    </Frame>
  )
}

interface NewAccountProps {
  readonly token: string
  readonly onNew: (isNew: boolean) => void
  readonly onAccount: () => void
}

function NewAccount({ token, onNew, onAccount }: NewAccountProps) {
  const navigate = useNavigate()
  const making = useMutation({
    mutationFn: async (form: FormData) => {
      const [email, password] = [String(form.get('email')).trim(), String(form.get('password'))]
      const name = String(form.get('name')).trim()
      const body = { email, password, invitation: token, ...(name === '' ? {} : { name }) }
      await granted(anyone.POST('/api/v1/auth/register', { body }))
      onNew(true)
      await signIn(email, password)
    },
    onSuccess: () => {
      forgetLinkToken()
      return navigate({ to: '/', replace: true })
    },
    onError: () => onNew(false),
  })
  // The service replies the same for an address that has an account, whose password stays what it was.
  const isKnown = isRefused(making.error) && making.error.status === 401
  return (
    <Step title={say('setup.title')} onSend={making.mutate}>
      <Field label={say('setup.name')} name="name" autoComplete="name" maxLength={255} autoFocus />
      <Field label={say('sign_in.email')} name="email" type="email" autoComplete="username" required />
      <NewPassword />
      <Button kind="primary" type="submit" disabled={making.isPending}>
        {say('setup.button')}
      </Button>
      {isKnown ? (
        <p role="alert" className="text-critical">
          {say('setup.has_account')}
        </p>
      ) : (
        <Trouble of={making.error} />
      )}
      <Button kind="quiet" onClick={onAccount}>
        {say('setup.sign_in.button')}
      </Button>
    </Step>
  )
}

function Join({ token, user }: { readonly token: string; readonly user: User }) {
  const navigate = useNavigate()
  const joining = useMutation({
    mutationFn: async () => {
      const { id } = await granted(api.POST('/api/v1/invitations/accept', { body: { token } }))
      const { items } = await granted(api.GET('/api/v1/organizations'))
      const joined = items.find(({ user_id }) => user_id === id)
      if (joined !== undefined) await switchOrganization(joined.organization.id)
      forgetLinkToken()
    },
    onSuccess: () => navigate({ to: '/', replace: true }),
  })
  return (
    <Step
      title={say('setup.join.title')}
      about={say('setup.join', { email: user.email })}
      takesFocus
      onSend={() => joining.mutate()}
    >
      <Button kind="primary" type="submit" disabled={joining.isPending}>
        {say('setup.join.button')}
      </Button>
      <Trouble of={joining.error} />
      <Button kind="quiet" onClick={() => void signOut()}>
        {say('setup.join.other')}
      </Button>
    </Step>
  )
}
