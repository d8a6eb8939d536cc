import { type Act, acts, everywhere, keysOf } from './bindings.ts'

/** What matters of a keyboard event, so that the rules can be told without a browser. */
export interface Press {
  readonly key: string
  readonly code: string
  readonly ctrl: boolean
  readonly meta: boolean
  readonly alt: boolean
  /** Not `ctrl` and `alt` as well, which browsers on Windows tell with it. */
  readonly altGraph: boolean
  readonly shift: boolean
  readonly repeat: boolean
  readonly isComposing: boolean
  /** In an input, a text area, a select or an editable element. */
  readonly inEditable: boolean
  /** On a button, a link or the like, which has its own use for Enter and Space. */
  readonly onControl: boolean
  /** On what has its own use for the arrows: radio buttons, a select, a part that scrolls by itself. */
  readonly ownsArrows: boolean
  readonly inDialog: boolean
}

/** Only these go on while a key is held down. */
const repeatable = new Set<Act>(['next', 'previous', 'extendNext', 'extendPrevious'])

const letter = (code: string): string | undefined => /^Key([A-Z])$/.exec(code)?.[1]?.toLowerCase()

/** The key's name in bindings: on a keyboard of another script, by its place. */
export function nameOf({ key, code, shift }: Pick<Press, 'key' | 'code' | 'shift'>): string {
  const [only] = key
  const isForeign = key.length === 1 && only !== undefined && only > '~'
  const named = isForeign ? letter(code) : /^[a-z]$/i.test(key) ? key.toLowerCase() : undefined
  return named === undefined ? key : `${shift ? 'Shift+' : ''}${named}`
}

/** The act of a press, after `first` if that was just pressed; `more` when it begins one of two keys. */
export function actOf(press: Press, first: string | null, singleKeys: boolean): Act | 'more' | null {
  if (press.isComposing || press.alt || press.inDialog) return null
  // It writes another sign, such as [ on a German keyboard; of a letter it is a modifier that is not asked for.
  if (press.altGraph && !/^[!-/:-@[-`{-~]$/.test(press.key)) return null
  const modified = press.ctrl || press.meta
  const name = modified ? `Mod+${press.key.toLowerCase()}` : nameOf(press)
  if (press.inEditable && !modified && name !== 'Escape') return null
  if (press.onControl && name === 'Enter') return null
  if (press.ownsArrows && name.startsWith('Arrow')) return null
  if (!modified && !singleKeys && !everywhere.has(name)) return null
  if (press.ctrl && press.meta) return null
  const whole = first === null || modified ? name : `${first} ${name}`
  const found = acts.find((act) => keysOf(act).includes(whole)) ?? null
  if (found !== null) return press.repeat && !repeatable.has(found) ? null : found
  if (first !== null || press.repeat) return null
  return acts.some((act) => keysOf(act).some((key) => key.startsWith(`${name} `))) ? 'more' : null
}
