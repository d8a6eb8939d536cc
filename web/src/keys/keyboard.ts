import { useEffect, useRef } from 'react'
import { preferences } from '../design/preferences.ts'
import type { Act } from './bindings.ts'
import { actOf, nameOf, type Press } from './match.ts'

export type Handlers = { readonly [A in Act]?: () => void }

/** How long the second key may take. */
const sequenceMs = 1_500

/** The innermost last: what is mounted later is asked first. */
const stack: { current: Handlers }[] = []
let first: { readonly key: string; readonly at: number } | null = null

/** When a character was last typed, in the time of events; what ends the typing on purpose forgets it. */
let typedAt = Number.NEGATIVE_INFINITY
/** Whoever types on after the input was taken away does not mean the page's keys. Each key that comes sooner begins it anew. */
const stillTypingMs = 1_500

/** Before any handler, because inputs keep their keys to themselves. */
function typed(event: KeyboardEvent): void {
  const { inEditable, ctrl, meta, key } = pressOf(event)
  if (['Shift', 'Control', 'Alt', 'Meta', 'AltGraph', 'CapsLock'].includes(key)) return
  const isSent = key === 'Enter' && event.target instanceof HTMLInputElement
  const isOver = ctrl || meta || isSent || key === 'Escape' || key === 'Tab'
  if (isOver) typedAt = Number.NEGATIVE_INFINITY
  else if (inEditable || isStillTyping(event)) typedAt = event.timeStamp
}
const isStillTyping = ({ timeStamp }: KeyboardEvent): boolean => timeStamp - typedAt < stillTypingMs
const pointed = (): void => {
  typedAt = Number.NEGATIVE_INFINITY
}

/** What can be done now, nearest to the person first: for the palette. */
export function available(): ReadonlyMap<Act, () => void> {
  const found = new Map<Act, () => void>()
  for (const { current } of stack.toReversed()) {
    for (const [act, handler] of Object.entries(current) as [Act, () => void][]) {
      if (!found.has(act)) found.set(act, handler)
    }
  }
  return found
}

/** Does what the key of an act would do, for a button that has no handler of its own. */
export const act = (name: Act): void => available().get(name)?.()

/** Does these acts on their keys while the component is there. */
export function useKeys(handlers: Handlers): void {
  const latest = useRef(handlers)
  // After the paint, so that a key acts on what the person saw.
  useEffect(() => {
    latest.current = handlers
  })
  useEffect(() => {
    const entry = latest
    stack.push(entry)
    if (stack.length === 1) {
      document.addEventListener('keydown', typed, true)
      document.addEventListener('pointerdown', pointed, true)
      document.addEventListener('keydown', pressed)
    }
    return () => {
      stack.splice(stack.indexOf(entry), 1)
      if (stack.length > 0) return
      document.removeEventListener('keydown', typed, true)
      document.removeEventListener('pointerdown', pointed, true)
      document.removeEventListener('keydown', pressed)
    }
  }, [])
}

const editable =
  'input:not([type=radio],[type=checkbox],[type=button]), textarea, select, [contenteditable]:not([contenteditable=false])'

function pressOf(event: KeyboardEvent): Press {
  const target = event.target instanceof Element ? event.target : document.body
  const altGraph = event.getModifierState('AltGraph')
  return {
    key: event.key,
    code: event.code,
    ctrl: event.ctrlKey && !altGraph,
    meta: event.metaKey,
    alt: event.altKey && !altGraph,
    altGraph,
    shift: event.shiftKey,
    repeat: event.repeat,
    // 229 is what some browsers send for the first key of a composition.
    isComposing: event.isComposing || event.keyCode === 229,
    inEditable: target.closest(editable) !== null,
    onControl: target.closest('button, a[href], summary, [role=option]') !== null,
    ownsArrows: target.closest('input[type=radio], select, [role=listbox], [data-own-arrows]') !== null,
    // Wherever the focus is: a dialog that is open is what the person looks at.
    inDialog: document.querySelector('[role=dialog], [role=alertdialog], [popover]:popover-open') !== null,
  }
}

function pressed(event: KeyboardEvent): void {
  if (event.defaultPrevented) return
  const press = pressOf(event)
  // This key, too, was noted as typed on.
  if (!press.inEditable && isStillTyping(event)) return
  const begun = first !== null && event.timeStamp - first.at < sequenceMs ? first.key : null
  const found = actOf(press, begun, preferences.get().singleKeys === 'on')
  first = found === 'more' ? { key: nameOf(press), at: event.timeStamp } : null
  if (found === null || found === 'more') return
  const handler = stack.toReversed().find(({ current }) => current[found] !== undefined)?.current[found]
  if (handler === undefined) return
  event.preventDefault()
  handler()
}
