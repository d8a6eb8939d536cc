import '../words/later.ts'
import { useSearch } from '@tanstack/react-router'
import { useEffect } from 'react'
import { say } from '../words/say.ts'
import { Frame } from './frame.tsx'
import { rememberProvider } from './known-provider.ts'
import { SignInForms } from './sign-in-forms.tsx'

/** The route takes over once there is a session. A link that a member was given names the provider, from then on. */
export function SignInPage() {
  const { to, provider } = useSearch({ from: '/sign-in' })
  useEffect(() => {
    if (provider !== undefined) rememberProvider(provider)
  }, [provider])
  return (
    <Frame>
      <SignInForms title={say('sign_in.title')} to={to} {...(provider === undefined ? {} : { provider })} />
    </Frame>
  )
}
