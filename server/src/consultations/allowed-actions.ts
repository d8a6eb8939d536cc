import { type Principal, rightsOf } from '../identity/principal.ts'
import { type ConsultationCore, isHeld, isOverdue } from './consultation.ts'
import { mayUndo } from './hold.ts'
import { awaitsOutcome } from './outcome.ts'
import { isRevisable } from './revision.ts'

/** What a caller may do next; clients show it instead of deriving it themselves. */
export function allowedActions(consultation: ConsultationCore, caller: Principal, now: Date): readonly string[] {
  const rights = rightsOf(caller)
  const actions: string[] = []
  const open = consultation.state === 'pending' && !isOverdue(consultation, now)
  if (open && !isHeld(consultation) && rights.has('request.respond')) actions.push('respond')
  if (caller.kind === 'person' && rights.has('request.respond') && mayUndo(consultation, caller, now))
    actions.push('undo')
  if (open && rights.has('request.cancel')) actions.push('cancel')
  if (isRevisable(consultation, now) && rights.has('request.create')) actions.push('revise')
  const { status } = consultation.callback
  if ((status === 'sent' || status === 'failed') && rights.has('request.redeliver')) actions.push('redeliver')
  if (isRedeemable(consultation, now) && rights.has('request.redeem')) actions.push('redeem')
  if (awaitsOutcome(consultation) && rights.has('request.report')) actions.push('report_outcome')
  return actions
}

function isRedeemable(consultation: ConsultationCore, now: Date): boolean {
  const { response, redeemedAt, outcome, erasedAt, certificateExpiresAt } = consultation
  const unused = response?.decision === 'approve' && redeemedAt === null && outcome === null && erasedAt === null
  return !isHeld(consultation) && unused && certificateExpiresAt !== null && certificateExpiresAt > now
}
