import { Kbd } from '../design/kbd.tsx'
import { say } from '../words/say.ts'
import { type Act, actWord, ariaKey, keyLabel } from './bindings.ts'
import { act as doAct } from './keyboard.ts'

/** A key that can be pressed with the pointer, too. */
export function KeyButton({ act, className = '' }: { readonly act: Act; readonly className?: string }) {
  return (
    <button
      type="button"
      aria-keyshortcuts={ariaKey(act)}
      title={say(actWord(act))}
      className={`grid min-h-6 min-w-6 place-items-center rounded-small pointer-coarse:min-h-11 pointer-coarse:min-w-11 ${className}`}
      onClick={() => doAct(act)}
    >
      <span className="sr-only">{say(actWord(act))}</span>
      <Kbd>{keyLabel(act)}</Kbd>
    </button>
  )
}
