import { useEffect, useRef, useState } from 'react'
import type { Answer, Request } from '../api/requests.ts'
import { announce } from '../design/announcer.tsx'
import { riskOf } from '../design/risk.ts'
import { prepare } from '../questions/drafts.ts'
import { say } from '../words/say.ts'
import { decide } from './decisions.ts'
import { type Decision, decisionsOf, isAnswerable, notYet, type Painted } from './rules.ts'
import { atButtons, type Input, nextStep, type Step } from './steps.ts'

export interface Deciding {
  readonly step: Step
  readonly decisions: readonly Decision[]
  /** By a key or a button: opens what has to come before the decision, or decides. */
  readonly begin: (decision: Decision, by: 'key' | 'button') => void
  readonly comment: (text: string) => void
  /** Null: by a step-up. */
  readonly confirm: (confirmation: Answer['confirmation']) => void
  readonly cancel: () => void
}

/** Decides about what is painted: the request that this component last drew, in that revision. */
export function useDeciding(request: Request, cameByItself: boolean, onDecided: (request: Request) => void): Deciding {
  const [step, setStep] = useState(atButtons)
  const paintedAt = useRef(0)
  const isRevised = useRef(false)
  const before = useRef<string | null>(null)
  const shown = `${request.id} ${request.revision}`
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is shown decides, not every new object of it
  useEffect(() => {
    isRevised.current = before.current?.startsWith(`${request.id} `) === true
    before.current = shown
    paintedAt.current = performance.now()
    setStep(atButtons)
  }, [shown])

  const painted = (): Painted => ({
    id: request.id,
    revision: request.revision,
    risk: riskOf(request.risk),
    forMs: performance.now() - paintedAt.current,
    cameByItself: cameByItself || isRevised.current,
  })
  const decisions = isAnswerable(request) ? decisionsOf(request) : []

  /** The members of the answer that the question asks for; null when something of them is wrong, which is marked. */
  const members = (decision: Decision): Partial<Answer> | null => {
    const prepared = prepare(request, decision === 'answer' ? null : decision)
    if ('members' in prepared) return prepared.members
    announce(say(prepared.refused === 'flawed' ? 'announce.flawed' : 'announce.unread'))
    return null
  }
  const take = (input: Input): void => {
    const next = nextStep(request, step, input)
    if ('step' in next) {
      setStep(next.step)
      return
    }
    const { decision, answer, byStepUp } = next
    const asked = members(decision)
    setStep(atButtons)
    if (asked === null) return
    void decide(request, decision, { ...asked, ...answer }, byStepUp)
    announce(say('announce.decided', { decision: say(`decided.${decision}`), title: request.title }))
    onDecided(request)
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
      if (members(decision) !== null) take({ is: 'begin', decision })
    },
    comment: (text) => take({ is: 'comment', text }),
    confirm: (confirmation) => take({ is: 'confirm', confirmation }),
    cancel: () => take({ is: 'cancel' }),
  }
}
