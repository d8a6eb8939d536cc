import { type ReactNode, useState } from 'react'
import { AgentText } from '../../rendering/agent-text.tsx'
import { say } from '../../words/say.ts'
import { canBeNull, type Schema } from '../check/subset.ts'
import { described, type FieldProps, inputShape, Labelled } from './field-frame.tsx'

interface SchemaProps extends FieldProps {
  readonly schema: Schema
}

const textOf = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')
const placeholderOf = (schema: Schema): string | undefined => {
  const [example] = Array.isArray(schema.examples) ? schema.examples : []
  const given =
    schema['x-placeholder'] ?? (typeof example === 'string' || typeof example === 'number' ? example : undefined)
  return given === undefined ? undefined : String(given)
}

/** What an input without text says: nothing, null where that may be, or an empty text where that is meant. */
const emptyOf = (schema: Schema, isRequired: boolean): unknown =>
  canBeNull(schema) && isRequired ? null : schema.minLength === 0 ? '' : undefined

const kinds: Readonly<Record<string, string>> = {
  email: 'email',
  uri: 'url',
  date: 'date',
  'date-time': 'datetime-local',
}

export function TextInput({ schema, ...field }: SchemaProps) {
  const { value, onChange, isRequired } = field
  const format = typeof schema.format === 'string' ? schema.format : ''
  const change = (text: string): void => onChange(text === '' ? emptyOf(schema, isRequired) : text)
  if (format === 'date-time') return <MomentInput schema={schema} {...field} />
  const isLong = schema['x-multiline'] === true || (typeof schema.maxLength === 'number' && schema.maxLength > 400)
  const shared = { ...described(field), placeholder: placeholderOf(schema), value: textOf(value), dir: 'auto' }
  return (
    <Labelled {...field}>
      {isLong ? (
        <textarea
          {...shared}
          rows={Math.min(14, Math.max(3, textOf(value).split('\n').length + 1))}
          className={`${inputShape} resize-y py-2`}
          onChange={({ target }) => change(target.value)}
        />
      ) : (
        <WithUnit schema={schema}>
          <input
            {...shared}
            type={kinds[format] ?? 'text'}
            autoComplete="off"
            spellCheck={format === ''}
            className={`${inputShape} h-9 pointer-coarse:h-11`}
            onChange={({ target }) => change(target.value)}
          />
        </WithUnit>
      )}
    </Labelled>
  )
}

/** A time is entered in the reader's zone, and sent in UTC. */
function MomentInput({ schema, ...field }: SchemaProps) {
  const { value, onChange, isRequired } = field
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  return (
    <Labelled {...field}>
      <WithUnit schema={{ 'x-unit': zone }}>
        <input
          {...described(field)}
          type="datetime-local"
          step="1"
          value={typeof value === 'string' ? localTime(value) : ''}
          className={`${inputShape} h-9 pointer-coarse:h-11`}
          onChange={({ target }) =>
            onChange(
              target.value === ''
                ? emptyOf(schema, isRequired)
                : new Date(target.value).toISOString().replace('.000Z', 'Z'),
            )
          }
        />
      </WithUnit>
    </Labelled>
  )
}

function localTime(text: string): string {
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) return ''
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19)
}

const decimal = /^-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/

/** What is no number stays as it was typed, and is told. */
export function NumberInput({ schema, ...field }: SchemaProps) {
  const { value, onChange, isRequired } = field
  const [typed, setTyped] = useState(textOf(value))
  // What somebody types may end in a point on the way to the next digit; what was set elsewhere replaces it.
  const shown = typed !== '' && Number(typed) === value ? typed : textOf(value)
  return (
    <Labelled {...field}>
      <WithUnit schema={schema}>
        <input
          {...described(field)}
          type="text"
          inputMode={schema.type === 'integer' ? 'numeric' : 'decimal'}
          autoComplete="off"
          placeholder={placeholderOf(schema)}
          value={shown}
          className={`${inputShape} tabular h-9 pointer-coarse:h-11`}
          onChange={({ target }) => {
            const text = target.value.trim()
            setTyped(text)
            const isEmpty = text === ''
            onChange(
              isEmpty ? (canBeNull(schema) && isRequired ? null : undefined) : decimal.test(text) ? Number(text) : text,
            )
          }}
        />
      </WithUnit>
      <Range schema={schema} />
    </Labelled>
  )
}

function Range({ schema: { minimum, maximum } }: { readonly schema: Schema }) {
  if (typeof minimum !== 'number' && typeof maximum !== 'number') return null
  const text =
    typeof minimum === 'number' && typeof maximum === 'number'
      ? say('form.range', { minimum: String(minimum), maximum: String(maximum) })
      : typeof minimum === 'number'
        ? say('form.minimum', { minimum: String(minimum) })
        : say('form.maximum', { maximum: String(maximum) })
  return <p className="text-faint text-small">{text}</p>
}

function WithUnit({ schema, children }: { readonly schema: Schema; readonly children: ReactNode }) {
  const unit = schema['x-unit']
  if (typeof unit !== 'string') return children
  return (
    <span className="flex items-center gap-2">
      {children}
      <AgentText text={unit} className="shrink-0 text-mute" />
    </span>
  )
}
