import { type ComponentProps, useId } from 'react'

export interface CheckProps extends ComponentProps<'input'> {
  readonly label: string
  readonly about?: string
}

export function Check({ label, about, ...rest }: CheckProps) {
  const id = useId()
  return (
    <div className="grid grid-cols-[auto_minmax(0,1fr)] items-start gap-x-2 gap-y-0.5">
      <input
        type="checkbox"
        id={id}
        aria-describedby={about === undefined ? undefined : `${id}-about`}
        className="mt-[3px] size-3.5 accent-accent pointer-coarse:size-5"
        {...rest}
      />
      <label htmlFor={id}>{label}</label>
      {about === undefined ? null : (
        <p id={`${id}-about`} className="col-start-2 max-w-prose text-mute text-small">
          {about}
        </p>
      )}
    </div>
  )
}
