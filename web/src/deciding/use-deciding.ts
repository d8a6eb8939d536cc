import { useEffect, useRef, useState } from 'react'
import type { Answer, Request } from '../api/requests.ts'
import { announce } from '../design/announcer.tsx'
import { riskOf } from '../design/risk.ts'
import { prepare } from '../questions/drafts.ts'
import { say } from '../words/say.ts'
import { decide } from './decisions.ts'
import { commentFor, type Decision, decisionsOf, isAnswerable, letsAct, notYet, type Painted } from './rules.ts'

/** What stands where the buttons were: a confirmation, or the comment of a decision. */
export type Step =
  | { readonly name: 'buttons' }
  | { readonly name: 'confirm'; readonly decision: Decision; readonly comment: string | null }
  | { readonly name: 'comment'; readonly decision: Decision }

export interface Deciding {
  readonly step: Step
  readonly decisions: readonly Decision[]
  /** By a key or a button: opens what has to come before the decision, or decides. */
  readonly begin: (decision: Decision, by: 'key' | 'button') => void
  readonly comment: (decision: Decision, comment: string) => void
  /** Null: by a step-up. */
  readonly confirm: (confirmation: Answer['confirmation']) => void
  readonly cancel: () => void
}

/** Decides about what is painted: the request that this component last drew, in that revision. */
export function useDeciding(request: Request, cameByItself: boolean, onDecided: (request: Request) => void): Deciding {
  const [step, setStep] = useState<Step>({ name: 'buttons' })
  const paintedAt = useRef(0)
  const isRevised = useRef(false)
  const before = useRef<string | null>(null)
  const shown = `${request.id} ${request.revision}`
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is shown decides, not every new object of it
  useEffect(() => {
    isRevised.current = before.current?.startsWith(`${request.id} `) === true
    before.current = shown
    paintedAt.current = performance.now()
    setStep({ name: 'buttons' })
  }, [shown])

  const painted = (): Painted => ({
    id: request.id,
    revision: request.revision,
    risk: riskOf(request.risk),
    forMs: performance.now() - paintedAt.current,
    cameByItself: cameByItself || isRevised.current,
  })
  const isGuarded = ['high', 'critical'].includes(riskOf(request.risk))
  const decisions = isAnswerable(request) ? decisionsOf(request) : []

  /** The members of the answer that the question asks for; null when something of them is wrong, which is marked. */
  const members = (decision: Decision): Partial<Answer> | null => {
    const prepared = prepare(request, decision === 'answer' ? null : decision)
    if ('members' in prepared) return prepared.members
    announce(say(prepared.refused === 'flawed' ? 'announce.flawed' : 'announce.unread'))
    return null
  }
  const finish = (decision: Decision, more: Partial<Answer> = {}, byStepUp = false): void => {
    const asked = members(decision)
    setStep({ name: 'buttons' })
    if (asked === null) return
    void decide(request, decision, { ...asked, ...more }, byStepUp)
    announce(say('announce.decided', { decision: say(`decided.${decision}`), title: request.title }))
    onDecided(request)
  }
  const withComment = (decision: Decision, comment: string | null): void => {
    if (letsAct(decision) && isGuarded) setStep({ name: 'confirm', decision, comment })
    else finish(decision, comment === null ? {} : { comment })
  }
  return {
    step,
    decisions,
    begin: (decision, by) => {
      if (!decisions.includes(decision) || step.name !== 'buttons') return
      if (by === 'key') {
        const reason = notYet(painted())
        if (reason === 'unread') announce(say('announce.unread'))
        if (reason !== null) return
      }
      if (members(decision) === null) return
      const need = commentFor(request, decision)
      const asks =
        need === 'required' || (need === 'optional' && (decision === 'reject' || decision === 'request_changes'))
      if (asks) setStep({ name: 'comment', decision })
      else withComment(decision, null)
    },
    comment: (decision, comment) => withComment(decision, comment.trim() === '' ? null : comment.trim()),
    confirm: (confirmation) => {
      if (step.name !== 'confirm') return
      const comment = step.comment === null ? {} : { comment: step.comment }
      const byStepUp = confirmation == null
      finish(step.decision, { ...comment, ...(byStepUp ? {} : { confirmation }) }, byStepUp)
    },
    cancel: () => setStep({ name: 'buttons' }),
  }
}
