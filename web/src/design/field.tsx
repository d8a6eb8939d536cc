import { type ComponentProps, useId } from 'react'

/** A labelled input of one line. */
export function Field({ label, className = '', ...rest }: ComponentProps<'input'> & { readonly label: string }) {
  const id = useId()
  return (
    <div className={className}>
      <label htmlFor={id} className="mb-1 block font-medium text-mute text-small">
        {label}
      </label>
      <input
        id={id}
        className="block h-9 w-full rounded-control border border-line-strong bg-pane px-3 text-read pointer-coarse:h-11 pointer-coarse:text-[16px]"
        {...rest}
      />
    </div>
  )
}
