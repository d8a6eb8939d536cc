import { type FormEvent, useId, useRef, useState } from 'react'
import type { Answer, Request } from '../api/requests.ts'
import { Button } from '../design/button.tsx'
import { Modal } from '../design/modal.tsx'
import { riskOf } from '../design/risk.ts'
import { RiskShape, RiskWord } from '../design/risk-mark.tsx'
import { draftKey, useDraft } from '../questions/drafts.ts'
import { AgentText } from '../rendering/agent-text.tsx'
import { ChangeView } from '../rendering/value-view.tsx'
import { say } from '../words/say.ts'
import { type Decision, targetOf } from './rules.ts'

export interface ConfirmApprovalProps {
  readonly request: Request
  readonly decision: Decision
  /** Null: the person proves themselves instead. */
  readonly onConfirm: (confirmation: Answer['confirmation']) => void
  readonly onCancel: () => void
}

/** Before an approval at high or critical risk. Not approving has the focus, so a second key approves nothing. */
export function ConfirmApproval({ request, decision, onConfirm, onCancel }: ConfirmApprovalProps) {
  const no = useRef<HTMLButtonElement>(null)
  const id = useId()
  const [typed, setTyped] = useState('')
  const risk = riskOf(request.risk)
  const isTyped = risk === 'critical'
  const target = targetOf(request)
  const isTarget = sameName(typed, target)
  const { args } = useDraft(draftKey(request))
  const isAnswer = decision === 'answer'
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (!isTyped) onConfirm({ acknowledged: true })
    else if (isTarget) onConfirm({ acknowledged: true, typed })
  }
  return (
    <Modal title={say(isAnswer ? 'confirm.title.answer' : 'confirm.title')} onClose={onCancel} initialFocus={no}>
      <form onSubmit={submit} className="grid gap-4 px-5 pt-2 pb-5">
        <p className="flex items-center gap-1.5">
          <RiskShape risk={risk} />
          <RiskWord risk={risk} long />
          {request.presentation?.reversible === false ? (
            <span className="text-mute">{say('card.not_reversible')}</span>
          ) : null}
        </p>
        <p className="break-words font-medium text-read" dir="auto">
          <AgentText text={request.title} />
        </p>
        {args === null ? null : (
          <div className="grid grid-cols-[minmax(0,1fr)] gap-1">
            <p className="text-mute">{say('confirm.edited')}</p>
            <ChangeView before={request.action?.args} after={args} language={null} label={say('args.diff')} />
          </div>
        )}
        {isTyped ? (
          <div className="grid gap-1.5">
            <label htmlFor={id} className="text-mute">
              {say('confirm.type')} <AgentText text={target} className="break-all font-mono font-semibold text-ink" />
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
          {isTyped ? (
            <Button kind="quiet" onClick={() => onConfirm(null)}>
              {say('confirm.step_up')}
            </Button>
          ) : null}
          <Button ref={no} onClick={onCancel}>
            {say(isAnswer ? 'confirm.no.answer' : 'confirm.no')}
          </Button>
          <Button kind="danger" type="submit" disabled={isTyped && !isTarget}>
            {say(isAnswer ? 'confirm.yes.answer' : 'confirm.yes')}
          </Button>
        </div>
      </form>
    </Modal>
  )
}

/** As the service compares them. */
const sameName = (a: string, b: string): boolean => a.normalize('NFC').trim() === b.normalize('NFC').trim()
