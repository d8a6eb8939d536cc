import { lazy, Suspense } from 'react'
import type { Request } from '../api/requests.ts'
import { Button } from '../design/button.tsx'
import { ActKey } from '../keys/act-key.tsx'
import { type Act, ariaKey } from '../keys/bindings.ts'
import { useKeys } from '../keys/keyboard.ts'
import { draftKey, editArgs, useDraft } from '../questions/drafts.ts'
import { useKeptDraft } from '../questions/kept-draft.ts'
import { asksForMore, questionOf } from '../questions/question.ts'
import { say, type Word } from '../words/say.ts'
import { CommentForm } from './comment-form.tsx'
import { shownDecision, undoable, useDecisions } from './decisions.ts'
import { type Decision, isAnswerable, isRisky } from './rules.ts'
import { Silence } from './silence.tsx'
import { takeBack } from './take-back.ts'
import { useDeciding } from './use-deciding.ts'

const loadConfirmation = () => import('./confirm-approval.tsx')
const ConfirmApproval = lazy(() => loadConfirmation().then((part) => ({ default: part.ConfirmApproval })))
// So that it is there when the key is pressed, and not in the way of the first page. One that does not come is asked for then.
setTimeout(() => loadConfirmation().catch(() => undefined), 2_000)

const actFor: Readonly<Record<Decision, Act>> = {
  approve: 'approve',
  acknowledge: 'approve',
  reject: 'reject',
  request_changes: 'ask',
  answer: 'approve',
}

export interface ActionBarProps {
  readonly request: Request
  readonly cameByItself: boolean
  readonly onDecided: (request: Request) => void
}

/** What can be decided, with its keys, and what silence will do. */
export function ActionBar({ request, cameByItself, onDecided }: ActionBarProps) {
  const deciding = useDeciding(request, cameByItself, onDecided)
  const { step, decisions, begin } = deciding
  // Where nothing is written or chosen, there is nothing to keep.
  useKeptDraft(request, isAnswerable(request) && (asksForMore(request) || step.name === 'comment'))
  const isEdited = useDraft(draftKey(request)).args !== null
  const shown = shownDecision(useDecisions())
  // The toast has the button for what it tells about.
  const canUndo = request.allowed_actions.includes('undo') && shown?.request.id !== request.id
  const canEdit = isAnswerable(request) && questionOf(request).editable !== null
  useKeys({
    ...Object.fromEntries(
      (step.name === 'buttons' ? decisions : []).map((decision) => [actFor[decision], () => begin(decision, 'key')]),
    ),
    ...(canEdit && step.name === 'buttons' ? { edit: () => editArgs(request) } : {}),
    // Decided in another tab, or before this page was loaded again.
    ...(canUndo && undoable() === null ? { undo: () => void takeBack(request) } : {}),
  })
  if (step.name === 'comment') {
    const { decision } = step
    return (
      <CommentForm
        key={decision}
        request={request}
        decision={decision}
        onSend={deciding.comment}
        onCancel={deciding.cancel}
      />
    )
  }
  const isGuarded = isRisky(request)
  return (
    <div className="flex flex-wrap items-center gap-2 border-line border-t px-4 py-2.5 pb-[max(10px,env(safe-area-inset-bottom))] wide:px-8 wide:py-3">
      {inOrder(decisions, canEdit).map((decision, index) =>
        decision === 'edit' ? (
          <Button
            key="edit"
            className="flex-1 wide:flex-none"
            aria-keyshortcuts={ariaKey('edit')}
            onClick={() => editArgs(request)}
          >
            {say('action.edit')}
            <span className="hidden wide:inline">
              <ActKey act="edit" />
            </span>
          </Button>
        ) : (
          <Button
            key={decision}
            kind={index === 0 ? 'primary' : 'plain'}
            className="flex-1 wide:flex-none"
            aria-keyshortcuts={ariaKey(actFor[decision])}
            onClick={() => begin(decision, 'button')}
          >
            <span>
              {say(wordOf(decision, isGuarded, isEdited))}
              <span className="sr-only">{say('action.object', { title: request.title })}</span>
            </span>
            <span className="hidden wide:inline">
              <ActKey act={actFor[decision]} className={index === 0 ? 'border-on-accent/45 text-inherit' : ''} />
            </span>
          </Button>
        ),
      )}
      {canUndo ? (
        <Button className="flex-1 wide:flex-none" onClick={() => void takeBack(request)}>
          <span>
            {say('undo')}
            <span className="sr-only">{say('action.object', { title: request.title })}</span>
          </span>
        </Button>
      ) : null}
      <Silence request={request} />
      {step.name === 'confirm' ? (
        <Suspense>
          <ConfirmApproval
            request={request}
            decision={step.decision}
            onConfirm={deciding.confirm}
            onCancel={deciding.cancel}
          />
        </Suspense>
      ) : null}
    </div>
  )
}

/** Dots: something has to be confirmed first. */
function wordOf(decision: Decision, isGuarded: boolean, isEdited: boolean): Word {
  if (decision === 'approve' && isEdited) return isGuarded ? 'action.approve.edited_guarded' : 'action.approve.edited'
  if (decision === 'approve' && isGuarded) return 'action.approve.guarded'
  return decision === 'answer' && isGuarded ? 'action.answer.guarded' : `action.${decision}`
}

/** Editing stands before asking back, which is the last thing to do. */
function inOrder(decisions: readonly Decision[], canEdit: boolean): readonly (Decision | 'edit')[] {
  if (!canEdit) return decisions
  const at = decisions.indexOf('request_changes')
  const before = at === -1 ? decisions.length : at
  return [...decisions.slice(0, before), 'edit', ...decisions.slice(before)]
}
