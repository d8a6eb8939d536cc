import { type ComponentProps, useId } from 'react'

export interface SelectProps extends ComponentProps<'select'> {
  readonly label: string
  readonly options: readonly (readonly [value: string, text: string])[]
  /** The label is for assistive technology alone: what stands beside it says what it is. */
  readonly isLabelHidden?: boolean
}

/** One of several, in the system's own list. */
export function Select({ label, options, isLabelHidden = false, className = '', ...rest }: SelectProps) {
  const id = useId()
  return (
    <div className={className}>
      <label htmlFor={id} className={isLabelHidden ? 'sr-only' : 'mb-1 block font-medium text-mute text-small'}>
        {label}
      </label>
      <select
        id={id}
        className="block h-9 w-full rounded-control border border-line-strong bg-pane px-2 text-base disabled:opacity-60 pointer-coarse:h-11 pointer-coarse:text-[16px]"
        {...rest}
      >
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </div>
  )
}
