import { type KeyboardEvent, useCallback, useEffect, useRef, useState } from 'react'
import { longestSearch } from '../api/requests.ts'
import { say } from '../words/say.ts'

/** A pause in typing after which it searches: shorter than a letter takes that somebody looks for. */
const restMs = 120

export interface SearchFieldProps {
  /** What the address says. */
  readonly value: string
  /** Another number each time that the focus is wanted here. */
  readonly turn: number
  readonly onSearch: (text: string) => void
  /** To what was found. */
  readonly onEnter: () => void
  readonly onClose: () => void
}

export function SearchField({ value, turn, onSearch, onEnter, onClose }: SearchFieldProps) {
  const [text, setText] = useState(value)
  const sent = useRef(value)
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null)
  const input = useRef<HTMLInputElement>(null)
  // The address was changed by somebody else, such as the button that goes back.
  useEffect(() => {
    if (value === sent.current) return
    sent.current = value
    setText(value)
  }, [value])
  const rest = useCallback((): void => {
    if (timer.current !== null) clearTimeout(timer.current)
    timer.current = null
  }, [])
  useEffect(() => rest, [rest])
  // biome-ignore lint/correctness/useExhaustiveDependencies: once per turn, and where the box was opened empty
  useEffect(() => {
    if (turn > 0 || value === '') input.current?.focus()
  }, [turn])
  const search = (next: string): void => {
    rest()
    sent.current = next
    onSearch(next)
  }
  const pressed = (event: KeyboardEvent): void => {
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Escape') onClose()
    else if (event.key === 'Enter' || event.key === 'ArrowDown') {
      if (text.trim() !== sent.current) search(text.trim())
      else onEnter()
    } else return
    event.preventDefault()
    event.stopPropagation()
  }
  return (
    <search className="flex shrink-0 border-line border-b">
      <input
        ref={input}
        type="search"
        aria-label={say('search.title')}
        placeholder={say('search.what')}
        autoComplete="off"
        spellCheck={false}
        dir="auto"
        maxLength={longestSearch}
        value={text}
        className="h-11 min-w-0 flex-1 bg-pane px-4 outline-none focus-visible:shadow-[inset_0_-2px_0_var(--color-accent)] pointer-coarse:text-[16px]"
        onChange={({ target }) => {
          setText(target.value)
          rest()
          timer.current = setTimeout(() => search(target.value.trim()), restMs)
        }}
        onKeyDown={pressed}
      />
    </search>
  )
}
