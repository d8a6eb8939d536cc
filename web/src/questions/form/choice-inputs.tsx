import { AgentText } from '../../rendering/agent-text.tsx'
import { say } from '../../words/say.ts'
import { described, type FieldProps, Grouped, inputShape, Labelled } from './field-frame.tsx'
import type { Choice } from './shown-fields.ts'

interface ChoiceProps extends FieldProps {
  readonly choices: readonly Choice[]
}

/** More than these are a list to open. */
const mostRadios = 7

export const rowShape =
  'flex items-start gap-2.5 rounded-control border border-line bg-pane px-3 py-2 has-checked:border-accent ' +
  'has-checked:bg-chosen has-focus-visible:outline-2 has-focus-visible:outline-accent pointer-coarse:min-h-11'

export function ChoiceText({ choice: { value, label, description } }: { readonly choice: Choice }) {
  return (
    <span className="min-w-0 wrap-anywhere">
      <AgentText text={label ?? wordOf(value)} />
      {description === null ? null : (
        <AgentText text={description} lines className="block whitespace-pre-wrap text-mute text-small" />
      )}
    </span>
  )
}

const wordOf = (value: unknown): string =>
  value === null
    ? say('shown.null')
    : value === true
      ? say('shown.yes')
      : value === false
        ? say('shown.no')
        : String(value)

/** One of the values that were named. */
export function ChoiceInput({ choices, ...field }: ChoiceProps) {
  const { value, onChange, at, isRequired } = field
  if (choices.length > mostRadios) {
    const chosen = choices.findIndex((choice) => choice.value === value)
    return (
      <Labelled {...field}>
        <select
          {...described(field)}
          value={chosen}
          className={`${inputShape} h-9 pointer-coarse:h-11`}
          onChange={({ target }) => onChange(choices[Number(target.value)]?.value)}
        >
          <option value={-1}>{say('form.choose')}</option>
          {choices.map((choice, index) => (
            <option key={String(choice.value)} value={index}>
              {choice.label ?? wordOf(choice.value)}
            </option>
          ))}
        </select>
      </Labelled>
    )
  }
  return (
    <Grouped {...field}>
      <div className="grid gap-1.5">
        {choices.map((choice) => (
          <label key={`${typeof choice.value} ${choice.value}`} className={rowShape}>
            <input
              type="radio"
              name={at}
              checked={choice.value === value}
              className="mt-0.5 accent-accent outline-none"
              onChange={() => onChange(choice.value)}
            />
            <ChoiceText choice={choice} />
          </label>
        ))}
      </div>
      {isRequired || value === undefined ? null : (
        <button type="button" className="justify-self-start text-accent text-small" onClick={() => onChange(undefined)}>
          {say('form.clear')}
        </button>
      )}
    </Grouped>
  )
}

/** Some of them, each once. */
export function ChoicesInput({ choices, ...field }: ChoiceProps) {
  const { value, onChange } = field
  const chosen = Array.isArray(value) ? (value as readonly unknown[]) : []
  return (
    <Grouped {...field}>
      <div className="grid gap-1.5">
        {choices.map((choice) => (
          <label key={`${typeof choice.value} ${choice.value}`} className={rowShape}>
            <input
              type="checkbox"
              checked={chosen.includes(choice.value)}
              className="mt-0.5 accent-accent outline-none"
              onChange={({ target }) =>
                onChange(
                  choices
                    .map((other) => other.value)
                    .filter((other) => (other === choice.value ? target.checked : chosen.includes(other))),
                )
              }
            />
            <ChoiceText choice={choice} />
          </label>
        ))}
      </div>
    </Grouped>
  )
}

/** Yes and no are both said: an empty box says neither. */
export const flagChoices: readonly Choice[] = [
  { value: true, label: null, description: null },
  { value: false, label: null, description: null },
]
export const nothingChoice: Choice = { value: null, label: null, description: null }
