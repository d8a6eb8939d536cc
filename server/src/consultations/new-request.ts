import type { JsonText, ParsedJson } from '../platform/json.ts'
import { invalid } from '../platform/problem.ts'
import { bodyCheck } from '../platform/validation.ts'
import { defaultTimeoutMinutes, type Proposal } from './consultation.ts'
import { createRequestBody } from './schemas.ts'

export interface NewRequest extends Omit<Proposal, 'callbackSecret'> {
  /** Not sealed yet. */
  readonly callbackSecret: string | null
}

const check = bodyCheck(createRequestBody)

/** Throws 422 naming every wrong field. `refuseTarget` returns why a callback URL is refused, or null. */
export function parseNewRequest(
  { value, members }: ParsedJson,
  refuseTarget: (url: string) => string | null,
): NewRequest {
  const body = check(value)
  const callbackUrl = body.callback_webhook ?? null
  const reason = callbackUrl === null ? null : refuseTarget(callbackUrl)
  if (reason !== null) throw invalid('callback_webhook', `is refused: ${reason.replace(/\.$/, '')}`)
  return {
    title: body.title,
    description: body.description ?? null,
    context: asWritten(members, 'context'),
    metadata: body.metadata == null ? null : asWritten(members, 'metadata'),
    timeoutMinutes: body.timeout_minutes === undefined ? defaultTimeoutMinutes : body.timeout_minutes,
    callbackUrl,
    callbackSecret: body.callback_secret ?? null,
    callbackRetrySeconds: body.callback_retry_seconds ?? null,
  }
}

function asWritten(members: ParsedJson['members'], name: string): JsonText {
  const text = members.get(name)
  if (text === undefined) throw new Error(`the source text of ${name} was not kept`)
  return text
}
