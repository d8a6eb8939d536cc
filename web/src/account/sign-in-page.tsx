import { type FormEvent, useEffect, useRef, useState } from 'react'
import { publicPath } from '../api/public-path.ts'
import { isRefused, type Refused } from '../api/refused.ts'
import { signIn, signInWithCode } from '../api/session.ts'
import { Button, buttonShape } from '../design/button.tsx'
import { Field } from '../design/field.tsx'
import { say } from '../words/say.ts'

type Step =
  | { readonly name: 'password' }
  | { readonly name: 'code'; readonly challenge: string; readonly methods: readonly string[] }

/** Password first, then the second factor if the account has one. The route takes over once there is a session. */
export function SignInPage() {
  const [step, setStep] = useState<Step>({ name: 'password' })
  return (
    <main className="grid min-h-full place-items-center p-4">
      <div className="w-full max-w-80">
        <p className="mb-6 flex items-center gap-2 font-semibold">
          <span className="size-[18px] rounded-[5px] bg-accent" aria-hidden="true" />
          {say('app.name')}
        </p>
        {step.name === 'password' ? (
          <PasswordForm onChallenge={setStep} />
        ) : (
          <CodeForm {...step} onBack={() => setStep({ name: 'password' })} />
        )}
      </div>
    </main>
  )
}

/** One try at a time; the refusal, in the service's own words. */
function useTry() {
  const [trouble, setTrouble] = useState<Refused | 'unreachable' | null>(null)
  const [busy, setBusy] = useState(false)
  const attempt = async (act: () => Promise<void>): Promise<Refused | null> => {
    setBusy(true)
    setTrouble(null)
    try {
      await act()
      return null
    } catch (error) {
      setTrouble(isRefused(error) ? error : 'unreachable')
      return isRefused(error) ? error : null
    } finally {
      setBusy(false)
    }
  }
  return { trouble, busy, attempt }
}

function Trouble({ of: trouble }: { readonly of: Refused | 'unreachable' | null }) {
  const start = isSso(trouble) ? String(trouble.problem.sso_start) : null
  return (
    <div role="alert" className="grid gap-2">
      {trouble === null ? null : (
        <p className="text-critical">{trouble === 'unreachable' ? say('sign_in.unreachable') : trouble.message}</p>
      )}
      {start === null ? null : (
        <a className={`${buttonShape} border-line bg-pane`} href={start}>
          {say('sign_in.sso')}
        </a>
      )}
    </div>
  )
}

const isSso = (trouble: Refused | 'unreachable' | null): trouble is Refused =>
  trouble !== null && trouble !== 'unreachable' && trouble.code === 'sso.required'

function PasswordForm({ onChallenge }: { readonly onChallenge: (step: Step) => void }) {
  const { trouble, busy, attempt } = useTry()
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const refused = await attempt(() => signIn(String(form.get('email')), String(form.get('password'))))
    if (refused?.code !== 'auth.second_factor_required') return
    const { challenge, methods } = refused.problem as { challenge?: string; methods?: string[] }
    onChallenge({ name: 'code', challenge: challenge ?? '', methods: methods ?? [] })
  }
  return (
    <form className="grid gap-4" onSubmit={submit} aria-labelledby="title">
      <h1 id="title" className="font-semibold text-title tracking-tight">
        {say('sign_in.title')}
      </h1>
      <Field label={say('sign_in.email')} name="email" type="email" autoComplete="username" required autoFocus />
      <Field
        label={say('sign_in.password')}
        name="password"
        type="password"
        autoComplete="current-password"
        required
        maxLength={1000}
      />
      <Button kind="primary" type="submit" disabled={busy}>
        {say('sign_in.button')}
      </Button>
      <Trouble of={trouble} />
      <a className="text-mute text-small underline underline-offset-2" href={`${publicPath}/password/forgot`}>
        {say('sign_in.forgot')}
      </a>
    </form>
  )
}

interface CodeFormProps {
  readonly challenge: string
  readonly methods: readonly string[]
  readonly onBack: () => void
}

const codeMethods = ['totp', 'recovery_code'] as const

function CodeForm({ challenge, methods, onBack }: CodeFormProps) {
  const usable = codeMethods.filter((method) => methods.includes(method))
  const [method, setMethod] = useState(usable[0])
  const { trouble, busy, attempt } = useTry()
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [])
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault()
    const code = String(new FormData(event.currentTarget).get('code')).trim()
    if (method !== undefined) await attempt(() => signInWithCode(challenge, method, code))
  }
  const other = usable.find((each) => each !== method)
  return (
    <form className="grid gap-4" onSubmit={submit} aria-labelledby="title">
      <h1 id="title" ref={heading} tabIndex={-1} className="font-semibold text-title tracking-tight outline-none">
        {say('sign_in.code.title')}
      </h1>
      {method === undefined ? (
        <p className="text-mute">{say('sign_in.code.other')}</p>
      ) : (
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
          <Button kind="primary" type="submit" disabled={busy}>
            {say('sign_in.code.button')}
          </Button>
        </>
      )}
      <Trouble of={trouble} />
      {other === undefined ? null : (
        <Button kind="quiet" onClick={() => setMethod(other)}>
          {say(`sign_in.code.use_${other}`)}
        </Button>
      )}
      <Button kind="quiet" onClick={onBack}>
        {say('sign_in.back')}
      </Button>
    </form>
  )
}
