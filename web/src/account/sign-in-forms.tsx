import { useMutation } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { passkeysWork } from '../api/passkeys.ts'
import { isRefused } from '../api/refused.ts'
import { signIn, signInWithCode, signInWithPasskey } from '../api/session.ts'
import { Button, buttonShape } from '../design/button.tsx'
import { Field } from '../design/field.tsx'
import { Trouble } from '../design/trouble.tsx'
import { say } from '../words/say.ts'
import { Step } from './frame.tsx'
import { knownProvider, rememberProvider, startOf } from './known-provider.ts'

interface Challenge {
  readonly challenge: string
  readonly methods: readonly string[]
}

export interface SignInFormsProps {
  readonly title: string
  readonly about?: string
  readonly email?: string
  /** The path of ours that an identity provider sends the browser back to. */
  readonly to: string
  /** The identity provider that a link named. */
  readonly provider?: string
}

/** Every way to sign in. Whoever shows them takes over once there is a session. */
export function SignInForms(props: SignInFormsProps) {
  const [challenge, setChallenge] = useState<Challenge | null>(null)
  return challenge === null ? (
    <FirstStep {...props} onChallenge={setChallenge} />
  ) : (
    <SecondStep {...challenge} onBack={() => setChallenge(null)} />
  )
}

interface FirstStepProps extends SignInFormsProps {
  readonly onChallenge: (challenge: Challenge) => void
}

function FirstStep({ title, about, email, to, provider: named, onChallenge }: FirstStepProps) {
  const signing = useMutation({
    mutationFn: (form: FormData) => signIn(String(form.get('email')), String(form.get('password'))),
    onError: (error) => {
      if (!isRefused(error) || error.code !== 'auth.second_factor_required') return
      const { challenge = '', methods = [] } = error.problem as Partial<Challenge>
      onChallenge({ challenge, methods })
    },
  })
  const byPasskey = useMutation({ mutationFn: () => signInWithPasskey(null) })
  const isBusy = signing.isPending || byPasskey.isPending
  const provider = providerNamedBy(signing.error) ?? named ?? knownProvider()
  return (
    <Step title={title} {...(about === undefined ? {} : { about })} onSend={signing.mutate}>
      <Field
        label={say('sign_in.email')}
        name="email"
        type="email"
        autoComplete="username"
        defaultValue={email}
        required
        autoFocus
      />
      <Field
        label={say('sign_in.password')}
        name="password"
        type="password"
        autoComplete="current-password"
        required
        maxLength={1000}
      />
      <Button kind="primary" type="submit" disabled={isBusy}>
        {say('sign_in.button')}
      </Button>
      <Trouble of={signing.error ?? byPasskey.error} />
      {passkeysWork() ? (
        <Button disabled={isBusy} onClick={() => byPasskey.mutate()}>
          {say('sign_in.passkey')}
        </Button>
      ) : null}
      {provider === null ? null : (
        <a
          className={`${buttonShape} border-line bg-pane`}
          href={startOf(provider, to)}
          onClick={() => rememberProvider(provider)}
        >
          {say('sign_in.sso')}
        </a>
      )}
      <Link className="text-mute text-small underline underline-offset-2" to="/password/forgot">
        {say('sign_in.forgot')}
      </Link>
    </Step>
  )
}

/** A refusal names the provider that the organization demands: .../auth/sso/<id>/start. */
function providerNamedBy(error: unknown): string | null {
  if (!isRefused(error) || error.code !== 'sso.required') return null
  return /\/sso\/([^/]+)\/start/.exec(String(error.problem.sso_start))?.[1] ?? null
}

const codeMethods = ['totp', 'recovery_code'] as const

function SecondStep({ challenge, methods, onBack }: Challenge & { readonly onBack: () => void }) {
  const codes = codeMethods.filter((method) => methods.includes(method))
  const [method, setMethod] = useState(codes[0])
  const byCode = useMutation({
    mutationFn: async (form: FormData) => {
      if (method !== undefined) await signInWithCode(challenge, method, String(form.get('code')).trim())
    },
  })
  const byPasskey = useMutation({ mutationFn: () => signInWithPasskey(challenge) })
  const other = codes.find((each) => each !== method)
  return (
    <Step title={say('sign_in.code.title')} takesFocus onSend={byCode.mutate}>
      {methods.includes('passkey') && passkeysWork() ? (
        <Button
          kind={method === undefined ? 'primary' : 'plain'}
          disabled={byPasskey.isPending}
          onClick={() => byPasskey.mutate()}
        >
          {say('sign_in.code.use_passkey')}
        </Button>
      ) : null}
      {method === undefined ? null : (
        <>
          <Field
            key={method}
            label={say(`sign_in.code.${method}`)}
            name="code"
            autoComplete="one-time-code"
            inputMode={method === 'totp' ? 'numeric' : 'text'}
            required
            minLength={6}
            maxLength={64}
          />
          <Button kind="primary" type="submit" disabled={byCode.isPending}>
            {say('sign_in.code.button')}
          </Button>
        </>
      )}
      <Trouble of={byCode.error ?? byPasskey.error} />
      {other === undefined ? null : (
        <Button kind="quiet" onClick={() => setMethod(other)}>
          {say(`sign_in.code.use_${other}`)}
        </Button>
      )}
      <Button kind="quiet" onClick={onBack}>
        {say('sign_in.back')}
      </Button>
    </Step>
  )
}
