import { useEffect, useSyncExternalStore } from 'react'

let text = ''
const listeners = new Set<() => void>()

/** Tells assistive technology what happened, without taking the focus. The same text twice is told twice. */
export function announce(sentence: string): void {
  text = text === sentence ? `${sentence}\u00a0` : sentence
  for (const listener of listeners) listener()
}

/** Once per page, because a live region must be there before its text changes. */
export function Announcer() {
  // The next person on the same tab is told nothing of it.
  useEffect(
    () => () => {
      text = ''
    },
    [],
  )
  const spoken = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => text,
  )
  return (
    <p role="status" className="sr-only">
      {spoken}
    </p>
  )
}
