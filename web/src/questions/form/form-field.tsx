import { ArrowDown, ArrowUp, Plus, X } from 'lucide-react'
import type { ReactNode } from 'react'
import { isObject, pointerOf } from '../../rendering/pointer.ts'
import { labelOf } from '../../rendering/shape.ts'
import { say } from '../../words/say.ts'
import { canBeNull, resolved, type Schema, typesOf } from '../check/subset.ts'
import { ChoiceInput, ChoicesInput, flagChoices, nothingChoice } from './choice-inputs.tsx'
import { type FieldProps, Grouped } from './field-frame.tsx'
import { choicesIn, initialValue, isChoiceList, shownFields } from './shown-fields.ts'
import { NumberInput, TextInput } from './text-inputs.tsx'

export interface FormFieldProps {
  readonly top: Schema
  readonly schema: Schema
  readonly at: string
  readonly name: string
  readonly isRequired: boolean
  readonly value: unknown
  readonly onChange: (value: unknown) => void
  readonly flaws: ReadonlyMap<string, string>
}

/** One field of a form, by its schema, with those in it. */
export function FormField({ top, schema: given, at, name, isRequired, value, onChange, flaws }: FormFieldProps) {
  const schema = resolved(top, given)
  const field: FieldProps = {
    at,
    label: typeof schema.title === 'string' && schema.title !== '' ? schema.title : labelOf(name),
    about: typeof schema.description === 'string' ? schema.description : null,
    isRequired,
    flaw: flaws.get(at),
    value,
    onChange,
  }
  const choices = choicesIn(schema)
  if (choices !== null) return <ChoiceInput {...field} choices={choices} />
  if (Object.hasOwn(schema, 'const')) {
    return <ChoiceInput {...field} choices={[{ value: schema.const, label: null, description: null }]} />
  }
  const type = typesOf(schema)?.find((one) => one !== 'null') ?? 'null'
  switch (type) {
    case 'string':
      return <TextInput {...field} schema={schema} />
    case 'number':
    case 'integer':
      return <NumberInput {...field} schema={schema} />
    case 'boolean':
      return <ChoiceInput {...field} choices={canBeNull(schema) ? [...flagChoices, nothingChoice] : flagChoices} />
    case 'object':
      return (
        <Grouped {...field}>
          <div className="border-line border-s ps-3">
            <FormFields top={top} schema={schema} at={at} value={value} onChange={onChange} flaws={flaws} />
          </div>
        </Grouped>
      )
    case 'array':
      return <ListInput top={top} schema={schema} field={field} flaws={flaws} />
    case 'null':
      return <ChoiceInput {...field} choices={[nothingChoice]} />
  }
}

interface FormFieldsProps extends Omit<FormFieldProps, 'name' | 'isRequired'> {}

/** The fields of an object. */
export function FormFields({ top, schema, at, value, onChange, flaws }: FormFieldsProps) {
  const members = isObject(value) ? value : {}
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
      {shownFields(top, schema, members).map((field) => (
        <FormField
          key={field.name}
          top={top}
          schema={field.schema}
          at={at + pointerOf([field.name])}
          name={field.name}
          isRequired={field.isRequired}
          value={Object.hasOwn(members, field.name) ? members[field.name] : undefined}
          flaws={flaws}
          onChange={(next) => {
            const { [field.name]: _, ...others } = members
            const isKept = next !== undefined
            // In its place, so that an edited value changes nothing else of the text.
            const after = isKept ? { ...members, [field.name]: next } : others
            onChange(after)
          }}
        />
      ))}
    </div>
  )
}

interface ListInputProps {
  readonly top: Schema
  readonly schema: Schema
  readonly field: FieldProps
  readonly flaws: ReadonlyMap<string, string>
}

/** Entries that are added, removed and moved. */
function ListInput({ top, schema, field, flaws }: ListInputProps) {
  const items = isObject(schema.items) ? schema.items : null
  if (items !== null && isChoiceList(top, schema)) {
    return <ChoicesInput {...field} choices={choicesIn(resolved(top, items)) ?? []} />
  }
  const list = Array.isArray(field.value) ? (field.value as readonly unknown[]) : []
  const prefix = (Array.isArray(schema.prefixItems) ? schema.prefixItems : []) as readonly Schema[]
  const most = typeof schema.maxItems === 'number' ? schema.maxItems : Number.POSITIVE_INFINITY
  const isFixed = (at: number): boolean => at < prefix.length
  const set = (next: readonly unknown[]): void =>
    field.onChange(next.length === 0 && !field.isRequired ? undefined : next)
  const move = (at: number, to: number): void => set(list.with(at, list[to]).with(to, list[at]))
  return (
    <Grouped {...field}>
      <ol className="grid gap-2">
        {list.map((item, at) => {
          const name = say('form.entry', { number: at + 1 })
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: entries have no names, and each is drawn from its value alone
            <li key={at} className="flex items-start gap-1">
              <div className="min-w-0 flex-1">
                <FormField
                  top={top}
                  schema={prefix[at] ?? items ?? { type: 'null' }}
                  at={field.at + pointerOf([at])}
                  name={name}
                  isRequired
                  value={item ?? undefined}
                  flaws={flaws}
                  onChange={(next) => set(list.with(at, next ?? null))}
                />
              </div>
              {isFixed(at) ? null : (
                <span className="mt-6 flex">
                  <Small
                    label={say('form.up', { name })}
                    isOff={at === 0 || isFixed(at - 1)}
                    onClick={() => move(at, at - 1)}
                  >
                    <ArrowUp className="size-3.5" aria-hidden="true" />
                  </Small>
                  <Small
                    label={say('form.down', { name })}
                    isOff={at === list.length - 1}
                    onClick={() => move(at, at + 1)}
                  >
                    <ArrowDown className="size-3.5" aria-hidden="true" />
                  </Small>
                  <Small label={say('form.remove', { name })} onClick={() => set(list.toSpliced(at, 1))}>
                    <X className="size-3.5" aria-hidden="true" />
                  </Small>
                </span>
              )}
            </li>
          )
        })}
      </ol>
      {items === null || list.length >= most ? null : (
        <button
          type="button"
          className="mt-1 inline-flex items-center gap-1.5 justify-self-start rounded-control border border-line px-2.5 py-1 text-small hover:bg-side pointer-coarse:min-h-11"
          onClick={() => set([...list, initialValue(top, items) ?? null])}
        >
          <Plus className="size-3.5" aria-hidden="true" />
          {say('form.add')}
        </button>
      )}
    </Grouped>
  )
}

interface SmallProps {
  readonly label: string
  readonly onClick: () => void
  readonly children: ReactNode
  readonly isOff?: boolean
}

export function Small({ label, onClick, children, isOff = false }: SmallProps) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      disabled={isOff}
      onClick={onClick}
      className="grid size-7 place-items-center rounded-control text-mute hover:bg-side hover:text-ink disabled:opacity-30 pointer-coarse:size-11"
    >
      {children}
    </button>
  )
}
