import { type FormEvent, type KeyboardEvent, useRef, useState } from 'react'
import type { Request } from '../api/requests.ts'
import { Button } from '../design/button.tsx'
import { Field } from '../design/field.tsx'
import { given } from '../design/form-dialog.tsx'
import { Kbd } from '../design/kbd.tsx'
import { Modal } from '../design/modal.tsx'
import { AgentText } from '../rendering/agent-text.tsx'
import '../words/later.ts'
import { say } from '../words/say.ts'
import { absolute, clockTime } from '../words/times.ts'
import { bounds, inputTime, snoozeTimes } from './times.ts'

export interface SnoozeDialogProps {
  /** One, or many that go together. */
  readonly requests: readonly [Request, ...Request[]]
  readonly onChoose: (until: Date) => void
  readonly onClose: () => void
}

/** Until when: one of a few times by a digit, or a chosen one. */
export function SnoozeDialog({ requests, onChoose, onClose }: SnoozeDialogProps) {
  const [now] = useState(() => new Date())
  const first = useRef<HTMLButtonElement>(null)
  const times = snoozeTimes(now)
  const [chosen, setChosen] = useState(() => inputTime(times.find(({ name }) => name === 'tomorrow')?.at ?? now))
  const pressed = (event: KeyboardEvent): void => {
    if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey || event.repeat)
      return
    const time = times[Number(event.key) - 1]
    if (time !== undefined) onChoose(time.at)
  }
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const until = new Date(given(new FormData(event.currentTarget), 'until') ?? '')
    if (!Number.isNaN(until.getTime())) onChoose(until)
  }
  const isOverBy = (until: Date): boolean =>
    requests.some(({ timeout_at }) => timeout_at !== null && new Date(timeout_at) <= until)
  return (
    <Modal title={say('snooze.title')} onClose={onClose} initialFocus={first}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the digits are keys of the buttons in it, which work without them */}
      <div className="grid gap-4 px-5 pt-1 pb-5" onKeyDown={pressed}>
        <p className="truncate text-mute" dir="auto">
          <AgentText text={requests[0].title} />
          {requests.length === 1 ? null : ` ${say('snooze.more', { count: requests.length - 1 })}`}
        </p>
        <ul className="-mx-2 grid gap-px">
          {times.map(({ name, at }, index) => (
            <li key={name}>
              <button
                ref={index === 0 ? first : undefined}
                type="button"
                aria-keyshortcuts={String(index + 1)}
                title={absolute(at)}
                className="grid min-h-9 w-full grid-cols-[minmax(0,1fr)_auto_auto] items-center gap-x-3 rounded-control px-2 py-1 text-start hover:bg-side pointer-coarse:min-h-11"
                onClick={() => onChoose(at)}
              >
                <span>{say(`snooze.${name}`)}</span>
                <span className="tabular text-mute">{clockTime(at, now)}</span>
                <Kbd>{String(index + 1)}</Kbd>
                {isOverBy(at) ? <span className="col-span-3 text-high text-small">{say('snooze.over')}</span> : null}
              </button>
            </li>
          ))}
        </ul>
        <form className="flex flex-wrap items-end gap-2" onSubmit={submit}>
          <Field
            className="min-w-0 flex-1"
            type="datetime-local"
            name="until"
            label={say('snooze.chosen')}
            value={chosen}
            onChange={({ target }) => setChosen(target.value)}
            required
            {...bounds(now)}
          />
          <Button type="submit">{say('snooze.set')}</Button>
          {isOverBy(new Date(chosen)) ? <p className="basis-full text-high text-small">{say('snooze.over')}</p> : null}
        </form>
      </div>
    </Modal>
  )
}
