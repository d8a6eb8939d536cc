import type { Static } from 'typebox'
import type { JsonText, ParsedJson } from '../platform/json.ts'
import { invalid } from '../platform/problem.ts'
import { bodyCheck } from '../platform/validation.ts'
import { defaultTimeoutMinutes, type Proposal } from './consultation.ts'
import { checkQuestion } from './questions/new-question.ts'
import { defaultPriority, defaultRisk } from './questions/tiers.ts'
import { reviseRequestBody } from './revision-schemas.ts'
import { createRequestBody } from './schemas.ts'

export interface NewRequest extends Omit<Proposal, 'callbackSecret' | 'traceparent'> {
  /** Not sealed yet. */
  readonly callbackSecret: string | null
}

const check = bodyCheck(createRequestBody)
const checkRevision = bodyCheck(reviseRequestBody)

/** What this installation refuses, and why: as the end of "callback_webhook is refused: ..." and "callback_secret ...". */
export interface CallbackRefusals {
  readonly refuseTarget: (url: string) => string | null
  readonly refuseSecret: (secret: string) => string | null
}

/** Throws 422 naming every wrong field. */
export function parseNewRequest({ value, members }: ParsedJson, refusals: CallbackRefusals): NewRequest {
  return requestOf(check(value), members, refusals)
}

/** `meant`: the revision that it is to take the place of. */
export function parseRevision({ value, members }: ParsedJson, refusals: CallbackRefusals) {
  const { revision: meant, ...body } = checkRevision(value)
  return { asked: requestOf(body, members, refusals), meant }
}

function requestOf(
  body: Static<typeof createRequestBody>,
  members: ParsedJson['members'],
  { refuseTarget, refuseSecret }: CallbackRefusals,
): NewRequest {
  const callbackUrl = body.callback_webhook ?? null
  const reason = callbackUrl === null ? null : refuseTarget(callbackUrl)
  if (reason !== null) throw invalid('callback_webhook', `is refused: ${reason.replace(/\.$/, '')}`)
  const unusable = body.callback_secret == null ? null : refuseSecret(body.callback_secret)
  if (unusable !== null) throw invalid('callback_secret', unusable)
  const question = {
    action: body.action == null ? null : asWritten(members, 'action'),
    answer: body.answer == null ? null : asWritten(members, 'answer'),
    presentation: body.presentation == null ? null : asWritten(members, 'presentation'),
  }
  checkQuestion(question)
  const { answer: answerAsked, ...shown } = question
  return {
    ...shown,
    answerAsked,
    justification: body.justification ?? null,
    riskProposed: body.risk ?? defaultRisk,
    priority: body.priority ?? defaultPriority,
    tags: body.tags ?? [],
    runId: body.run_id ?? null,
    title: body.title,
    description: body.description ?? null,
    context: asWritten(members, 'context'),
    metadata: body.metadata == null ? null : asWritten(members, 'metadata'),
    timeoutMinutes: body.timeout_minutes === undefined ? defaultTimeoutMinutes : body.timeout_minutes,
    callbackUrl,
    callbackSecret: body.callback_secret ?? null,
    callbackRetrySeconds: body.callback_retry_seconds ?? null,
    callbackEvents: body.callback_events ?? null,
    holdSeconds: body.hold_seconds ?? 0,
  }
}

function asWritten(members: ParsedJson['members'], name: string): JsonText {
  const text = members.get(name)
  if (text === undefined) throw new Error(`the source text of ${name} was not kept`)
  return text
}
