import { useEffect, useRef, useState } from 'react'
import type { Answer, Request } from '../api/requests.ts'
import { announce } from '../design/announcer.tsx'
import { riskOf } from '../design/risk.ts'
import { isAway } from '../live/changes.ts'
import { carryOver, prepare } from '../questions/drafts.ts'
import { say } from '../words/say.ts'
import { decide, isUnderWay, refuseAway } from './decisions.ts'
import { type Decision, decisionsOf, isAnswerable, mayBegin, type Painted } from './rules.ts'
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
  const shown = `${request.id} ${request.revision}`
  const [begun, setBegun] = useState({ shown, step: atButtons })
  // A step is one of the revision that it began in.
  const step = begun.shown === shown ? begun.step : atButtons
  // A second key may come before the next step is drawn.
  const reached = useRef(step)
  reached.current = step
  const paintedAt = useRef(0)
  const isRevised = useRef(false)
  const before = useRef(request)
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is shown decides, not every new object of it
  useEffect(() => {
    isRevised.current = before.current.id === request.id && before.current.revision !== request.revision
    paintedAt.current = performance.now()
    if (isRevised.current) {
      carryOver(before.current, request)
      announce(say('announce.revised'))
      document.getElementById('card-title')?.focus()
    }
    before.current = request
  }, [shown])

  const painted = (): Painted => ({
    id: request.id,
    revision: request.revision,
    risk: riskOf(request.risk),
    forMs: performance.now() - paintedAt.current,
    cameByItself: cameByItself || isRevised.current,
  })
  const decisions = isAnswerable(request) ? decisionsOf(request) : []
  const go = (next: Step): void => {
    reached.current = next
    setBegun({ shown, step: next })
  }

  /** The members of the answer that the question asks for; null when something of them is wrong, which is marked. */
  const members = (decision: Decision): Partial<Answer> | null => {
    const prepared = prepare(request, decision === 'answer' ? null : decision)
    if ('members' in prepared) return prepared.members
    announce(say(`announce.${prepared.refused}`))
    return null
  }
  const isOffline = (): boolean => {
    if (!isAway()) return false
    refuseAway(request)
    return true
  }
  const take = (input: Input): void => {
    if (isUnderWay(request.id)) return
    const next = nextStep(request, reached.current, input)
    if ('step' in next) {
      go(next.step)
      return
    }
    const { decision, answer, byStepUp } = next
    if (isOffline()) return
    const asked = members(decision)
    go(atButtons)
    if (asked === null) return
    void decide(request, decision, { ...asked, ...answer }, byStepUp)
    announce(say('announce.decided', { decision: say(`decided.${decision}`), title: request.title }))
    onDecided(request)
  }
  return {
    step,
    decisions,
    begin: (decision, by) => {
      if (!decisions.includes(decision) || reached.current.name !== 'buttons' || isUnderWay(request.id)) return
      const reason = mayBegin(painted(), by)
      if (reason === 'unread') announce(say('announce.unread'))
      if (reason !== null) return
      if (isOffline()) return
      if (members(decision) !== null) take({ is: 'begin', decision })
    },
    comment: (text) => take({ is: 'comment', text }),
    confirm: (confirmation) => take({ is: 'confirm', confirmation }),
    cancel: () => take({ is: 'cancel' }),
  }
}
