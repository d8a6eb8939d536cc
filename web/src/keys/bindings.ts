import type { Word } from '../words/say.ts'

/**
 * Every key of the application. `Mod` is Cmd on a Mac and Ctrl elsewhere; `g a` is two keys, one after the other. A new act
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
  undo: ['z'],
  raw: ['i'],
  copyLink: ['y'],
  search: ['/'],
  palette: ['Mod+k'],
  sheet: ['?'],
  goAll: ['g a'],
  goDueSoon: ['g s'],
  goLatest: ['g d'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type Act = keyof typeof bindings

export const actWord = (act: Act): Word => `key.${act}`

const onMac = typeof navigator !== 'undefined' && /Mac|iP(hone|ad)/.test(navigator.platform)

/** As it is written on the keyboard. */
export function keyLabel(act: Act): string {
  const [first] = bindings[act]
  const names: Readonly<Record<string, string>> = {
    Escape: 'Esc',
    ArrowDown: '↓',
    ArrowUp: '↑',
    Mod: onMac ? '⌘' : 'Ctrl',
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
export const ariaKey = (act: Act): string => bindings[act][0].replace('Mod', onMac ? 'Meta' : 'Control')
