import { type FormEvent, type ReactNode, useEffect, useRef } from 'react'
import { say } from '../words/say.ts'

/** A page of one small form, for people who are not in yet. */
export function Frame({ children }: { readonly children: ReactNode }) {
  return (
    <main className="grid min-h-full place-items-center p-4">
      <div className="w-full max-w-80">
        <p className="mb-6 flex items-center gap-2 font-semibold">
          <span className="size-[18px] rounded-[5px] bg-accent" aria-hidden="true" />
          {say('app.name')}
        </p>
        {children}
      </div>
    </main>
  )
}

export interface StepProps {
  readonly title: string
  readonly about?: string
  /** Without it there is nothing to send. */
  readonly onSend?: (form: FormData) => void
  /** Its heading takes the focus, because what had it before is gone. */
  readonly takesFocus?: boolean
  readonly children?: ReactNode
}

export function Step({ title, about, onSend, takesFocus = false, children }: StepProps) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    if (takesFocus) heading.current?.focus()
  }, [takesFocus])
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    onSend?.(new FormData(event.currentTarget))
  }
  return (
    <form className="grid gap-4" onSubmit={submit} aria-labelledby="title">
      <h1 id="title" ref={heading} tabIndex={-1} className="font-semibold text-title tracking-tight outline-none">
        {title}
      </h1>
      {about === undefined ? null : <p className="text-mute">{about}</p>}
      {children}
    </form>
  )
}
