import { useEffect, useRef } from 'react'
import { preferences } from '../design/preferences.ts'
import type { Act } from './bindings.ts'
import { actOf, type Press } from './match.ts'

export type Handlers = { readonly [A in Act]?: () => void }

/** How long the second key may take. */
const sequenceMs = 1_500

/** The innermost last: what is mounted later is asked first. */
const stack: { current: Handlers }[] = []
let first: { readonly key: string; readonly at: number } | null = null

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
    if (stack.length === 1) document.addEventListener('keydown', pressed)
    return () => {
      stack.splice(stack.indexOf(entry), 1)
      if (stack.length === 0) document.removeEventListener('keydown', pressed)
    }
  }, [])
}

const editable =
  'input:not([type=radio],[type=checkbox],[type=button]), textarea, select, [contenteditable]:not([contenteditable=false])'

function pressOf(event: KeyboardEvent): Press {
  const target = event.target instanceof Element ? event.target : document.body
  return {
    key: event.key,
    code: event.code,
    ctrl: event.ctrlKey,
    meta: event.metaKey,
    alt: event.altKey,
    shift: event.shiftKey,
    repeat: event.repeat,
    // 229 is what some browsers send for the first key of a composition.
    isComposing: event.isComposing || event.keyCode === 229,
    inEditable: target.closest(editable) !== null,
    onControl: target.closest('button, a[href], summary, [role=option]') !== null,
    ownsArrows: target.closest('input[type=radio], select, [role=listbox], [data-own-arrows]') !== null,
    inDialog: target.closest('[role=dialog], [role=alertdialog], [popover]:popover-open') !== null,
  }
}

function pressed(event: KeyboardEvent): void {
  if (event.defaultPrevented) return
  const press = pressOf(event)
  const begun = first !== null && event.timeStamp - first.at < sequenceMs ? first.key : null
  const found = actOf(press, begun, preferences.get().singleKeys === 'on')
  first = found === 'more' ? { key: press.key.toLowerCase(), at: event.timeStamp } : null
  if (found === null || found === 'more') return
  const handler = stack.toReversed().find(({ current }) => current[found] !== undefined)?.current[found]
  if (handler === undefined) return
  event.preventDefault()
  handler()
}
