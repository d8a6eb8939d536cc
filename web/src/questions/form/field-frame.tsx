import type { ReactNode } from 'react'
import { AgentText } from '../../rendering/agent-text.tsx'
import { say } from '../../words/say.ts'

/** Where a field stands, and what is drawn of it. */
export interface FieldProps<T = unknown> {
  /** The pointer of its value in the answer, such as /data/city: its id, too. */
  readonly at: string
  readonly label: string
  readonly about: string | null
  readonly isRequired: boolean
  readonly flaw: string | undefined
  readonly value: T
  /** `undefined` takes the value out of the answer. */
  readonly onChange: (value: unknown) => void
}

export const inputShape =
  'block w-full rounded-control border border-line-strong bg-pane px-3 text-read aria-invalid:border-critical ' +
  'aria-invalid:outline-critical pointer-coarse:text-[16px]'

/** What an input is told of its label, its help and what is wrong with it. */
export const described = ({ at, about, flaw }: Pick<FieldProps, 'at' | 'about' | 'flaw'>) => ({
  id: at,
  'aria-invalid': flaw !== undefined,
  'aria-describedby': [...(about === null ? [] : [`${at}-about`]), ...(flaw === undefined ? [] : [`${at}-flaw`])].join(
    ' ',
  ),
})

interface LabelledProps extends Pick<FieldProps, 'at' | 'label' | 'about' | 'isRequired' | 'flaw'> {
  readonly children: ReactNode
}

/** An input with its label above and what is wrong below. */
export function Labelled({ children, ...field }: LabelledProps) {
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-1">
      <label htmlFor={field.at} className="font-medium">
        <LabelText {...field} />
      </label>
      <About {...field} />
      {children}
      <FlawText {...field} />
    </div>
  )
}

/** Several inputs that are one field. */
export function Grouped({ children, ...field }: LabelledProps) {
  return (
    <fieldset
      id={field.at}
      tabIndex={-1}
      aria-describedby={described(field)['aria-describedby']}
      data-invalid={field.flaw !== undefined}
      className="grid min-w-0 grid-cols-[minmax(0,1fr)] gap-1 outline-none"
    >
      <legend className="mb-1 font-medium">
        <LabelText {...field} />
      </legend>
      <About {...field} />
      {children}
      <FlawText {...field} />
    </fieldset>
  )
}

function LabelText({ label, isRequired }: Pick<FieldProps, 'label' | 'isRequired'>) {
  return (
    <>
      <AgentText text={label} />
      {isRequired ? null : <span className="ms-1 font-normal text-faint text-small">{say('form.optional')}</span>}
    </>
  )
}

function About({ at, about }: Pick<FieldProps, 'at' | 'about'>) {
  return about === null ? null : (
    <p id={`${at}-about`} className="max-w-prose text-mute text-small">
      <AgentText text={about} lines className="whitespace-pre-wrap" />
    </p>
  )
}

function FlawText({ at, label, flaw }: Pick<FieldProps, 'at' | 'label' | 'flaw'>) {
  return flaw === undefined ? null : (
    <p id={`${at}-flaw`} className="text-critical text-small">
      <AgentText text={label} /> {flaw}
    </p>
  )
}
