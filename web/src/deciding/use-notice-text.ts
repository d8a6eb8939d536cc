import { usePersonName } from '../api/names.ts'
import { useNow } from '../design/use-now.ts'
import { say, type Word } from '../words/say.ts'
import { relative } from '../words/times.ts'
import type { Notice } from './decisions.ts'

const known = ['approve', 'reject', 'request_changes', 'acknowledge'] as const

/** "approved", "rejected": what somebody did. */
export function verdictWord(decision: string | null | undefined): Word {
  const found = known.find((each) => each === decision)
  return found === undefined ? 'verdict.answered' : `verdict.${found}`
}

/** Why a decision did not stand, in a sentence: who was first and when, or what else came in between. */
export function useNoticeText({ kind, by, decision, at, detail }: Notice): string {
  const person = usePersonName(by)
  const now = useNow()
  if (kind === 'refused' || kind === 'away' || (kind === 'answered' && at === null)) return detail
  if (kind === 'own') return say('notice.own', { decision: say(verdictWord(decision)) })
  if (kind !== 'answered') return say(`notice.${kind}`)
  return say('notice.answered', {
    person: person ?? say('person.someone'),
    decision: say(verdictWord(decision)),
    time: relative(new Date(at ?? ''), now),
  })
}
