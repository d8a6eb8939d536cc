import { type ReactNode, useId } from 'react'

export interface ChoiceProps<T extends string> {
  readonly label: string
  readonly options: readonly (readonly [T, ReactNode])[]
  readonly value: T
  readonly onChange: (value: T) => void
  readonly about?: string
}

/** One of a few, all of them visible. */
export function Choice<T extends string>({ label, options, value, onChange, about }: ChoiceProps<T>) {
  const name = useId()
  return (
    <fieldset className="grid gap-1.5">
      <legend className="mb-1.5 font-medium">{label}</legend>
      <div className="flex flex-wrap gap-2">
        {options.map(([option, text]) => (
          <label
            key={option}
            className="flex items-center gap-2 rounded-control border border-line bg-pane px-3 py-1.5 has-checked:border-accent has-checked:bg-chosen pointer-coarse:min-h-11"
          >
            <input
              type="radio"
              name={name}
              className="accent-accent"
              checked={option === value}
              onChange={() => onChange(option)}
            />
            {text}
          </label>
        ))}
      </div>
      {about === undefined ? null : <p className="max-w-prose text-mute text-small">{about}</p>}
    </fieldset>
  )
}
