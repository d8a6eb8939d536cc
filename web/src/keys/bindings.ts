import type { Word } from '../words/say.ts'
import { type OwnKeys, ownKeys } from './own-keys.ts'

/**
 * Every key of the application. `Mod` is Cmd on a Mac and Ctrl elsewhere; `g o` is two keys, one after the other. A new act
 * is a line here, a word `key.<act>`, and a handler given to `useKeys` where it can be done.
 */
export const bindings = {
  next: ['j', 'ArrowDown'],
  previous: ['k', 'ArrowUp'],
  nextInReader: [']'],
  previousInReader: ['['],
  open: ['o', 'Enter'],
  back: ['Escape'],
  approve: ['a'],
  reject: ['r'],
  ask: ['c'],
  edit: ['e'],
  diffMode: ['d'],
  changes: ['v'],
  snooze: ['h'],
  undo: ['z'],
  select: ['x'],
  selectAlike: ['Shift+x'],
  extendNext: ['Shift+j'],
  extendPrevious: ['Shift+k'],
  approveSelected: ['Shift+a'],
  rejectSelected: ['Shift+r'],
  snoozeSelected: ['Shift+h'],
  raw: ['i'],
  copyLink: ['y'],
  search: ['/'],
  filter: ['f'],
  palette: ['Mod+k'],
  sheet: ['?'],
  goAll: ['g o'],
  goDueSoon: ['g s'],
  goHighRisk: ['g h'],
  goLatest: ['g d'],
  goSnoozed: ['g z'],
  goDone: ['g e'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type Act = keyof typeof bindings

/** Keys that every page has, and that are no single-character shortcuts (WCAG 2.2, 2.1.4). They cannot be given to another act. */
export const everywhere: ReadonlySet<string> = new Set(['Enter', 'Escape', 'ArrowDown', 'ArrowUp'])

/** The keys of an act: the person's own instead of the usual letter, beside those that every page has. */
export function keysOf(act: Act, own: OwnKeys = ownKeys.get()): readonly [string, ...string[]] {
  const usual: readonly [string, ...string[]] = bindings[act]
  const chosen = own[act]
  return chosen === undefined ? usual : [chosen, ...usual.filter((key) => everywhere.has(key))]
}

export const acts = Object.keys(bindings) as readonly Act[]

/** Which act has this key already, or begins with it; null when it is free for this one. */
export function takenBy(key: string, by: Act, own: OwnKeys = ownKeys.get()): Act | null {
  const [first] = key.split(' ')
  const meets = (other: string): boolean => other === key || other === first || other.startsWith(`${key} `)
  return acts.find((act) => act !== by && keysOf(act, own).some(meets)) ?? null
}

export const actWord = (act: Act): Word => `key.${act}`

const onMac = typeof navigator !== 'undefined' && /Mac|iP(hone|ad)/.test(navigator.platform)

/** `Mod`, as it is written on the keyboard. */
export const modifier = onMac ? '⌘' : 'Ctrl'

/** Whether its key does something where single keys are turned off. */
export const isAlways = (act: Act): boolean => keysOf(act)[0].includes('Mod+') || everywhere.has(keysOf(act)[0])

/** As it is written on the keyboard. */
export function keyLabel(act: Act): string {
  const [first] = keysOf(act)
  const names: Readonly<Record<string, string>> = {
    Escape: 'Esc',
    ArrowDown: '↓',
    ArrowUp: '↑',
    Mod: modifier,
    Shift: onMac ? '⇧' : 'Shift',
  }
  return first
    .split(' ')
    .map((key) =>
      key
        .split('+')
        .map((part) => names[part] ?? (part.length === 1 ? part.toUpperCase() : part))
        .join(onMac ? '' : '+'),
    )
    .join(' ')
}

/** For aria-keyshortcuts. */
export const ariaKey = (act: Act): string => keysOf(act)[0].replace('Mod', onMac ? 'Meta' : 'Control')
