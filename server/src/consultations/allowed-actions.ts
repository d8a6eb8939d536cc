import { type Principal, rightsOf } from '../identity/principal.ts'
import { type ConsultationCore, isOverdue } from './consultation.ts'

/** What a caller may do next; clients show it instead of deriving it themselves. */
export function allowedActions(consultation: ConsultationCore, caller: Principal, now: Date): readonly string[] {
  const rights = rightsOf(caller)
  const actions: string[] = []
  const open = consultation.state === 'pending' && !isOverdue(consultation, now)
  if (open && rights.has('request.respond')) actions.push('respond')
  if (open && rights.has('request.cancel')) actions.push('cancel')
  const { status } = consultation.callback
  if ((status === 'sent' || status === 'failed') && rights.has('request.redeliver')) actions.push('redeliver')
  if (isRedeemable(consultation, now) && rights.has('request.redeem')) actions.push('redeem')
  return actions
}

function isRedeemable({ response, redeemedAt, erasedAt, certificateExpiresAt }: ConsultationCore, now: Date): boolean {
  const unused = response?.decision === 'approve' && redeemedAt === null && erasedAt === null
  return unused && certificateExpiresAt !== null && certificateExpiresAt > now
}
