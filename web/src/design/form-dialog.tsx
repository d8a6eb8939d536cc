import { useMutation } from '@tanstack/react-query'
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from 'react'
import { say } from '../words/say.ts'
import { Button, type ButtonProps } from './button.tsx'
import { Field } from './field.tsx'
import { Modal } from './modal.tsx'
import { Trouble } from './trouble.tsx'

export interface FormDialogProps<T> {
  /** On the button that opens it, and on the one that sends it. */
  readonly text: string
  /** Verb and object, as assistive technology says the button, and as the title of the dialog. */
  readonly name: string
  readonly kind?: ButtonProps['kind']
  readonly disabled?: boolean
  readonly children: ReactNode
  readonly send: (form: FormData) => Promise<T>
  /** What takes the form's place once it was sent, such as a secret shown once; without it the dialog closes. */
  readonly done?: (sent: T) => ReactNode
}

/** A button that opens a form over the page. */
export function FormDialog<T>({ text, name, kind = 'plain', disabled, children, send, done }: FormDialogProps<T>) {
  const [isOpen, setOpen] = useState(false)
  const sending = useMutation({
    mutationFn: send,
    onSuccess: () => {
      if (done === undefined) setOpen(false)
    },
  })
  const close = (): void => {
    // While it is sent, the person may be asked for a proof in another dialog: what they press there is not meant for this one.
    if (sending.isPending) return
    setOpen(false)
    // What was shown once is in memory no longer than the dialog.
    sending.reset()
  }
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    // In the tree of components a dialog may stand within another form.
    event.stopPropagation()
    sending.mutate(new FormData(event.currentTarget))
  }
  return (
    <>
      <Button
        kind={kind === 'danger' ? 'plain' : kind}
        disabled={disabled}
        aria-label={name}
        onClick={() => setOpen(true)}
      >
        {text}
      </Button>
      {isOpen ? (
        <Modal title={name} onClose={close}>
          {done !== undefined && sending.isSuccess ? (
            <Done onClose={close} takesFocus>
              {done(sending.data)}
            </Done>
          ) : (
            <form className="grid gap-4 p-5" onSubmit={submit}>
              {children}
              <Trouble of={sending.error} />
              <div className="flex flex-wrap justify-end gap-2">
                <Button onClick={close}>{say('act.cancel')}</Button>
                <Button kind={kind === 'danger' ? 'danger' : 'primary'} type="submit" disabled={sending.isPending}>
                  {text}
                </Button>
              </div>
            </form>
          )}
        </Modal>
      ) : null}
    </>
  )
}

interface DoneProps {
  readonly onClose: () => void
  /** The form that had the focus is gone. */
  readonly takesFocus?: boolean
  readonly children: ReactNode
}

function Done({ onClose, takesFocus = false, children }: DoneProps) {
  const region = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (takesFocus) region.current?.focus()
  }, [takesFocus])
  return (
    <div ref={region} tabIndex={-1} className="grid gap-4 p-5 outline-none">
      {children}
      <Button className="justify-self-end" onClick={onClose}>
        {say('act.done')}
      </Button>
    </div>
  )
}

/** A button that opens something to look at. */
export function ShowDialog({ text, name, children }: Pick<FormDialogProps<unknown>, 'text' | 'name' | 'children'>) {
  const [isOpen, setOpen] = useState(false)
  const close = (): void => setOpen(false)
  return (
    <>
      <Button aria-label={name} onClick={() => setOpen(true)}>
        {text}
      </Button>
      {isOpen ? (
        <Modal title={name} onClose={close}>
          <Done onClose={close}>{children}</Done>
        </Modal>
      ) : null}
    </>
  )
}

export interface ActButtonProps extends Pick<FormDialogProps<unknown>, 'text' | 'name' | 'kind' | 'disabled'> {
  /** What follows from it. */
  readonly about: string
  /** A line that the act takes along. */
  readonly field?: { readonly label: string; readonly required?: boolean }
  readonly act: (line: string) => Promise<unknown>
}

/** An act with consequences: the dialog says which ones, and its focus is on the way out. */
export function ActButton({ about, field, act, ...rest }: ActButtonProps) {
  return (
    <FormDialog {...rest} send={(form) => act(given(form, 'line') ?? '')}>
      <p className="text-mute">{about}</p>
      {field === undefined ? null : <Field name="line" maxLength={255} {...field} />}
    </FormDialog>
  )
}

/** A member of a form, trimmed; null when it was left empty. */
export function given(form: FormData, name: string): string | null {
  const value = String(form.get(name) ?? '').trim()
  return value === '' ? null : value
}
