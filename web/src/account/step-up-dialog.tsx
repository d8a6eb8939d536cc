import '../words/later.ts'
import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { api } from '../api/client.ts'
import { passkeysWork, signWithPasskey } from '../api/passkeys.ts'
import { granted } from '../api/refused.ts'
import { signOut } from '../api/session.ts'
import type { StepUpAsked } from '../api/step-up.ts'
import { Button } from '../design/button.tsx'
import { Field } from '../design/field.tsx'
import { Modal } from '../design/modal.tsx'
import { Trouble } from '../design/trouble.tsx'
import { say } from '../words/say.ts'

const typedMethods = ['totp', 'recovery_code', 'password'] as const

export interface StepUpDialogProps extends StepUpAsked {
  readonly onDone: (token: string | null) => void
}

/** Asks the person to prove themselves for one call, which then goes on. */
export function StepUpDialog({ digest, methods, detail, onDone }: StepUpDialogProps) {
  const typed = typedMethods.filter((method) => methods.includes(method))
  const [method, setMethod] = useState(typed[0])
  const hasPasskey = methods.includes('passkey') && passkeysWork()
  const byPasskey = useMutation({
    mutationFn: async () => {
      const options = await granted(api.POST('/api/v1/auth/step-up/passkey-options', { body: { digest } }))
      const assertion = await signWithPasskey(options)
      return granted(api.POST('/api/v1/auth/step-up', { body: { digest, method: 'passkey', assertion } }))
    },
    onSuccess: ({ step_up }) => onDone(step_up),
  })
  const byTyping = useMutation({
    mutationFn: (proof: string) => {
      const proven = method === 'password' ? { password: proof } : { code: proof.trim() }
      return granted(api.POST('/api/v1/auth/step-up', { body: { digest, method: method ?? 'password', ...proven } }))
    },
    onSuccess: ({ step_up }) => onDone(step_up),
  })
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    byTyping.mutate(String(new FormData(event.currentTarget).get('proof')))
  }
  return (
    <Modal title={say('step_up.title')} onClose={() => onDone(null)}>
      <form className="grid gap-4 p-5" onSubmit={submit}>
        <p className="text-mute">{methods.length === 0 ? detail : say('step_up.about')}</p>
        {hasPasskey ? (
          <Button kind="primary" disabled={byPasskey.isPending} onClick={() => byPasskey.mutate()}>
            {say('step_up.passkey')}
          </Button>
        ) : null}
        {method === undefined ? null : <Proof key={method} method={method} />}
        <Trouble of={byTyping.error ?? byPasskey.error} />
        <div className="flex flex-wrap justify-end gap-2">
          {typed
            .filter((each) => each !== method)
            .map((each) => (
              <Button key={each} kind="quiet" onClick={() => setMethod(each)}>
                {say(`step_up.use_${each}`)}
              </Button>
            ))}
          <Button onClick={() => onDone(null)}>{say('act.cancel')}</Button>
          {methods.length === 0 ? (
            <Button kind="primary" onClick={() => void signOut().then(() => onDone(null))}>
              {say('step_up.sign_in')}
            </Button>
          ) : null}
          {method === undefined ? null : (
            <Button kind={hasPasskey ? 'plain' : 'primary'} type="submit" disabled={byTyping.isPending}>
              {say('step_up.button')}
            </Button>
          )}
        </div>
      </form>
    </Modal>
  )
}

function Proof({ method }: { readonly method: (typeof typedMethods)[number] }) {
  const isPassword = method === 'password'
  return (
    <Field
      label={say(`step_up.${method}`)}
      name="proof"
      type={isPassword ? 'password' : 'text'}
      autoComplete={isPassword ? 'current-password' : 'one-time-code'}
      inputMode={method === 'totp' ? 'numeric' : 'text'}
      required
      {...(isPassword ? { maxLength: 1000 } : { minLength: 6, maxLength: 64 })}
    />
  )
}
