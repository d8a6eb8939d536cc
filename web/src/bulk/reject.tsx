import { type FormEvent, type KeyboardEvent, useId, useRef, useState } from 'react'
import { Button } from '../design/button.tsx'
import { Kbd } from '../design/kbd.tsx'
import { Modal } from '../design/modal.tsx'
import { modifier } from '../keys/bindings.ts'
import '../words/later.ts'
import { say } from '../words/say.ts'
import { NotTogether } from './not-together.tsx'
import { commentForAll, type Parts } from './parts.ts'

export interface RejectManyProps {
  readonly parts: Parts
  readonly onSend: (comment: string) => void
  readonly onClose: () => void
}

/** One comment for all of them, as one by itself is rejected with one. */
export function RejectMany({ parts, onSend, onClose }: RejectManyProps) {
  const [comment, setComment] = useState('')
  const [isMissing, setIsMissing] = useState(false)
  const input = useRef<HTMLTextAreaElement>(null)
  const [id, errorId] = [useId(), useId()]
  const { ready } = parts
  const need = commentForAll(ready, 'reject')
  const label = say('comment.title.reject')
  const send = (): void => {
    const text = comment.trim()
    if (need !== 'required' || text !== '') onSend(text)
    else {
      setIsMissing(true)
      input.current?.focus()
    }
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    send()
  }
  const pressed = (event: KeyboardEvent): void => {
    const { key, ctrlKey, metaKey, nativeEvent } = event
    if (key !== 'Enter' || !(ctrlKey || metaKey) || nativeEvent.isComposing || nativeEvent.repeat) return
    event.preventDefault()
    send()
  }
  return (
    <Modal title={say('bulk.reject.title', { count: ready.length })} onClose={onClose} initialFocus={input}>
      <form className="grid gap-3 px-5 pt-2 pb-5" onSubmit={submit}>
        <NotTogether parts={parts} />
        {need === 'none' ? null : (
          <>
            <label htmlFor={id} className="font-medium text-mute text-small">
              {say(need === 'required' ? 'comment.required' : 'comment.optional', { label })}
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
              onKeyDown={pressed}
              onChange={({ target }) => {
                setComment(target.value)
                setIsMissing(false)
              }}
            />
            <p id={errorId} role="alert" className="text-critical text-small empty:hidden">
              {isMissing ? say('comment.missing') : null}
            </p>
          </>
        )}
        <div className="flex flex-wrap justify-end gap-2">
          <Button onClick={onClose}>{say('cancel')}</Button>
          <Button kind="primary" type="submit">
            {say('bulk.some.reject', { count: ready.length })}
            <span className="hidden wide:inline">
              <Kbd className="border-on-accent/45 text-inherit">{say('comment.send.key', { modifier })}</Kbd>
            </span>
          </Button>
        </div>
      </form>
    </Modal>
  )
}
