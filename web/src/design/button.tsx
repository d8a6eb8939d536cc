import type { ComponentProps } from 'react'

const kinds = {
  primary: 'bg-accent text-on-accent border-transparent hover:brightness-110 disabled:brightness-100',
  plain: 'bg-pane text-ink border-line hover:bg-side',
  quiet: 'border-transparent text-mute hover:text-ink hover:bg-side',
  danger: 'bg-critical text-pane border-transparent hover:brightness-110',
} as const

export interface ButtonProps extends ComponentProps<'button'> {
  readonly kind?: keyof typeof kinds
}

/** Large enough for a finger where the pointer is one (WCAG 2.2, 2.5.8). */
export const buttonShape =
  'inline-flex items-center justify-center gap-2 rounded-control border px-3 py-[7px] text-base font-medium ' +
  'whitespace-nowrap disabled:opacity-60 pointer-coarse:min-h-11'

export function Button({ kind = 'plain', className = '', type = 'button', ...rest }: ButtonProps) {
  return <button type={type} className={`${buttonShape} ${kinds[kind]} ${className}`} {...rest} />
}
