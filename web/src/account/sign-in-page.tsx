import { useSearch } from '@tanstack/react-router'
import { useEffect } from 'react'
import { say } from '../words/say.ts'
import { Frame } from './frame.tsx'
import { rememberProvider } from './known-provider.ts'
import { SignInForms } from './sign-in-forms.tsx'

/** The route takes over once there is a session. */
export function SignInPage() {
  const { to, provider } = useSearch({ from: '/sign-in' })
  return (
    <Frame>
      <SignInForms title={say('sign_in.title')} to={to} key={useProviderOfLink(provider)} />
    </Frame>
  )
}

/** A link that a member was given names the provider to sign in through, from then on. */
function useProviderOfLink(id: string | undefined): string | undefined {
  useEffect(() => {
    if (id !== undefined) rememberProvider(id)
  }, [id])
  return id
}
