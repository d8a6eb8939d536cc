import { type KeyboardEvent, type ReactNode, useId, useMemo, useState } from 'react'
import { Kbd } from '../design/kbd.tsx'
import { Modal } from '../design/modal.tsx'
import { say } from '../words/say.ts'

export interface Command {
  readonly id: string
  readonly label: string
  /** What is drawn of it, where its words are not ours. */
  readonly shown?: ReactNode
  readonly keys: string | null
  readonly run: () => void
}

const most = 40

/** Each word of the search begins a word of the command. */
function found(commands: readonly Command[], search: string): readonly Command[] {
  const words = search
    .toLocaleLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
  const fits = ({ label }: Command): boolean => {
    const parts = label.toLocaleLowerCase().split(/[^\p{L}\p{N}]+/u)
    return words.every((word) => parts.some((part) => part.startsWith(word)))
  }
  return commands.filter(fits).slice(0, most)
}

export interface PaletteProps {
  readonly title: string
  readonly commands: readonly Command[]
  readonly onClose: () => void
}

/** Finds a command or a request by its words, and teaches the key of what it does. */
export function Palette({ title, commands, onClose }: PaletteProps) {
  const [search, setSearch] = useState('')
  const [active, setActive] = useState(0)
  const id = useId()
  const shown = useMemo(() => found(commands, search), [commands, search])
  const run = (command: Command | undefined): void => {
    if (command === undefined) return
    onClose()
    command.run()
  }
  const pressed = (event: KeyboardEvent): void => {
    if (event.nativeEvent.isComposing) return
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (step !== 0 && shown.length > 0) {
      const next = (active + step + shown.length) % shown.length
      setActive(next)
      document.getElementById(`${id}-${next}`)?.scrollIntoView({ block: 'nearest' })
    } else if (event.key === 'Enter') run(shown[active])
    else return
    event.preventDefault()
  }
  return (
    <Modal title={title} onClose={onClose} isTitleHidden className="flex flex-col overflow-hidden">
      <input
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={shown.length === 0 ? undefined : `${id}-${active}`}
        aria-label={title}
        placeholder={title}
        autoComplete="off"
        spellCheck={false}
        value={search}
        className="h-12 w-full shrink-0 border-line border-b bg-pane px-4 text-[15px] outline-none pointer-coarse:text-[16px]"
        onChange={({ target }) => {
          setSearch(target.value)
          setActive(0)
        }}
        onKeyDown={pressed}
      />
      <div id={id} role="listbox" aria-label={title} className="max-h-[50vh] overflow-y-auto p-1.5">
        {shown.map((command, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the input, which keeps the focus
          <div
            key={command.id}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === active}
            className={`flex min-h-8 items-center justify-between gap-3 rounded-[6px] px-2.5 pointer-coarse:min-h-11 ${index === active ? 'bg-chosen' : ''}`}
            onPointerMove={() => setActive(index)}
            onClick={() => run(command)}
          >
            <bdi className="truncate">{command.shown ?? command.label}</bdi>
            {command.keys === null ? null : <Kbd>{command.keys}</Kbd>}
          </div>
        ))}
      </div>
      {shown.length === 0 ? <p className="px-4 pb-4 text-mute">{say('palette.nothing')}</p> : null}
    </Modal>
  )
}
