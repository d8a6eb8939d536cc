import { type FormEvent, useId, useRef, useState } from 'react'
import type { Answer, Request } from '../api/requests.ts'
import { Button } from '../design/button.tsx'
import { Modal } from '../design/modal.tsx'
import { riskOf } from '../design/risk.ts'
import { RiskShape, RiskWord } from '../design/risk-mark.tsx'
import { say } from '../words/say.ts'
import { targetOf } from './rules.ts'

export interface ConfirmApprovalProps {
  readonly request: Request
  readonly onConfirm: (confirmation: NonNullable<Answer['confirmation']>) => void
  readonly onCancel: () => void
}

/** Before an approval at high or critical risk. Not approving has the focus, so a second key approves nothing. */
export function ConfirmApproval({ request, onConfirm, onCancel }: ConfirmApprovalProps) {
  const no = useRef<HTMLButtonElement>(null)
  const id = useId()
  const [typed, setTyped] = useState('')
  const risk = riskOf(request.risk)
  const isTyped = risk === 'critical'
  const target = targetOf(request)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (!isTyped) onConfirm({ acknowledged: true })
    else if (typed === target) onConfirm({ acknowledged: true, typed })
  }
  return (
    <Modal title={say('confirm.title')} onClose={onCancel} initialFocus={no}>
      <form onSubmit={submit} className="grid gap-4 px-5 pt-2 pb-5">
        <p className="flex items-center gap-1.5">
          <RiskShape risk={risk} />
          <RiskWord risk={risk} long />
          {request.presentation?.reversible === false ? (
            <span className="text-mute">{say('card.not_reversible')}</span>
          ) : null}
        </p>
        <p className="break-words font-medium text-read" dir="auto">
          {request.title}
        </p>
        {isTyped ? (
          <div className="grid gap-1.5">
            <label htmlFor={id} className="text-mute">
              {say('confirm.type')} <bdi className="break-all font-mono font-semibold text-ink">{target}</bdi>
            </label>
            <input
              id={id}
              value={typed}
              maxLength={300}
              autoComplete="off"
              spellCheck={false}
              className="block h-9 w-full rounded-control border border-line-strong bg-pane px-3 font-mono text-base pointer-coarse:h-11"
              onChange={(event) => setTyped(event.target.value)}
              onPaste={(event) => event.preventDefault()}
              onDrop={(event) => event.preventDefault()}
            />
          </div>
        ) : null}
        <div className="flex flex-wrap justify-end gap-2">
          <Button ref={no} onClick={onCancel}>
            {say('confirm.no')}
          </Button>
          <Button kind="danger" type="submit" disabled={isTyped && typed !== target}>
            {say('confirm.yes')}
          </Button>
        </div>
      </form>
    </Modal>
  )
}
