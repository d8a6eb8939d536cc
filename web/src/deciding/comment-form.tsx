import { type KeyboardEvent, useEffect, useId, useRef, useState } from 'react'
import type { Request } from '../api/requests.ts'
import { Button } from '../design/button.tsx'
import { Kbd } from '../design/kbd.tsx'
import { modifier } from '../keys/bindings.ts'
import { change, draftKey, draftOf, useDraft } from '../questions/drafts.ts'
import { say } from '../words/say.ts'
import { commentFor, type Decision } from './rules.ts'

/** Reasons that a number key writes into the comment, for a rejection. */
const reasons = ['reason.target', 'reason.rule', 'reason.unclear', 'reason.timing', 'reason.self'] as const

export interface CommentFormProps {
  readonly request: Request
  readonly decision: Decision
  readonly onSend: (comment: string) => void
  readonly onCancel: () => void
}

/** The comment of a decision, in the place of the buttons. */
export function CommentForm({ request, decision, onSend, onCancel }: CommentFormProps) {
  const draft = draftKey(request)
  const comment = useDraft(draft).comments[decision] ?? ''
  const setComment = (text: string): void =>
    change(draft, { comments: { ...draftOf(draft).comments, [decision]: text } })
  const [isMissing, setIsMissing] = useState(false)
  const [id, errorId] = [useId(), useId()]
  const input = useRef<HTMLTextAreaElement>(null)
  const form = useRef<HTMLFormElement>(null)
  const isRequired = commentFor(request, decision) === 'required'
  const hasReasons = decision === 'reject'
  // The number keys write reasons as long as nothing is being written, so the form has the focus and not its input.
  useEffect(() => (hasReasons ? form.current : input.current)?.focus(), [hasReasons])

  const send = (): void => {
    if (isRequired && comment.trim() === '') {
      setIsMissing(true)
      input.current?.focus()
    } else onSend(comment)
  }
  const take = (index: number): void => {
    const reason = reasons[index]
    if (reason === undefined) return
    setComment(say(reason))
    setIsMissing(false)
    input.current?.focus()
  }
  const pressed = (event: KeyboardEvent): void => {
    const { key, nativeEvent, target } = event
    const isModified = (event.ctrlKey || event.metaKey) && !event.getModifierState('AltGraph')
    // Nothing that is written here is a key of the page, wherever in the form the focus is.
    if (!isModified) event.stopPropagation()
    if (nativeEvent.isComposing) return
    const isOnForm = target === form.current
    if (nativeEvent.repeat) {
      // The key that opened the form, still held down, is no comment.
      if (isOnForm) event.preventDefault()
    } else if (key === 'Escape') onCancel()
    else if (key === 'Enter' && isModified) send()
    else if (hasReasons && target !== input.current && /^[1-9]$/.test(key)) take(Number(key) - 1)
    else {
      // Whoever begins to write means the comment: the character lands in the input that has the focus by then.
      const isWritten = key.length === 1 && !isModified && !event.altKey
      if (isWritten && (isOnForm || (target instanceof HTMLButtonElement && key !== ' '))) input.current?.focus()
      return
    }
    event.preventDefault()
    event.stopPropagation()
  }
  const label = say(`comment.title.${decision}`)
  return (
    <form
      ref={form}
      tabIndex={-1}
      aria-label={say('action.label', { action: label, title: request.title })}
      className="grid gap-2.5 border-line border-t px-4 py-3 pb-[max(12px,env(safe-area-inset-bottom))] outline-none wide:px-8"
      onKeyDown={pressed}
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      {hasReasons ? (
        <div className="flex flex-wrap gap-1.5">
          {reasons.map((reason, index) => (
            <button
              key={reason}
              type="button"
              className="flex items-center gap-1.5 rounded-control border border-line px-2 py-1 text-small hover:bg-side pointer-coarse:min-h-11"
              onClick={() => take(index)}
            >
              <Kbd>{String(index + 1)}</Kbd>
              {say(reason)}
            </button>
          ))}
        </div>
      ) : null}
      <label htmlFor={id} className="font-medium text-mute text-small">
        {say(isRequired ? 'comment.required' : 'comment.optional', { label })}
      </label>
      <textarea
        id={id}
        ref={input}
        value={comment}
        rows={3}
        maxLength={10_000}
        dir="auto"
        aria-describedby={errorId}
        aria-invalid={isMissing}
        className="block w-full resize-y rounded-control border border-line-strong bg-pane px-3 py-2 text-read pointer-coarse:text-[16px]"
        onChange={({ target }) => {
          setComment(target.value)
          setIsMissing(false)
        }}
      />
      <p id={errorId} role="alert" className="text-critical text-small empty:hidden">
        {isMissing ? say('comment.missing') : null}
      </p>
      <div className="flex flex-wrap items-center gap-2">
        <Button kind="primary" type="submit" className="flex-1 wide:flex-none">
          {say(`comment.send.${decision}`)}
          <span className="hidden wide:inline">
            <Kbd className="border-on-accent/45 text-inherit">{say('comment.send.key', { modifier })}</Kbd>
          </span>
        </Button>
        <Button onClick={onCancel} className="flex-1 wide:flex-none">
          {say('cancel')}
        </Button>
        <p className="text-faint text-small">{say('comment.readers')}</p>
      </div>
    </form>
  )
}
