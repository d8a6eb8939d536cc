import { Kbd } from '../design/kbd.tsx'
import { usePreferences } from '../design/preferences.ts'
import { type Act, isAlways, keyLabel } from './bindings.ts'

/** The key of an act beside its button; nothing where it would do nothing. */
export function ActKey({ act, className = '' }: { readonly act: Act; readonly className?: string }) {
  const { singleKeys } = usePreferences()
  return singleKeys === 'on' || isAlways(act) ? <Kbd className={className}>{keyLabel(act)}</Kbd> : null
}
