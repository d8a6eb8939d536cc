import type { ReactNode } from 'react'
import { type Act, ariaKey, keyLabel } from '../keys/bindings.ts'
import { say } from '../words/say.ts'

export interface IconButtonProps {
  readonly label: string
  readonly onClick: () => void
  readonly children: ReactNode
  readonly act?: Act
  readonly className?: string
}

/** A button of the reader that is drawn as a picture. */
export function IconButton({ label, onClick, children, act, className = '' }: IconButtonProps) {
  return (
    <button
      type="button"
      aria-label={label}
      title={act === undefined ? label : say('reader.button', { label, keys: keyLabel(act) })}
      {...(act === undefined ? {} : { 'aria-keyshortcuts': ariaKey(act) })}
      className={`grid size-8 place-items-center rounded-control text-mute hover:bg-side hover:text-ink pointer-coarse:size-11 ${className}`}
      onClick={onClick}
    >
      {children}
    </button>
  )
}
