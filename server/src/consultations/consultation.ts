import type { Actor, Fact } from '../facts/fact.ts'
import { later } from '../platform/clock.ts'
import type { Idempotency } from '../platform/idempotency.ts'
import type { JsonText } from '../platform/json.ts'
import { refusal } from '../platform/problem.ts'
import { type Asked, argsDigest, digestOf, jsonDigest } from './digest.ts'
import {
  type CheckedAnswer,
  checkAnswer,
  checkFiles,
  confirmationOf,
  type FullAnswer,
} from './questions/checked-answer.ts'
import type { Decision } from './questions/question.ts'
import { type Priority, type Risk, requireSurface, type Surface } from './questions/tiers.ts'
import { type Mark, markOf, repeated, unchanged } from './repetition.ts'

/** The rules of a consultation: pure. Every act takes it as it was and returns it as it is now, with the facts to record; or refuses. */

export const states = [
  'pending',
  'responded',
  'callback_sent',
  'callback_failed',
  'timeout',
  'cancelled',
  'completed',
] as const
export type State = (typeof states)[number]

/** What is due within this time is due soon. */
export const dueSoonMinutes = 60
/** Of these, more are not counted one by one: an inbox says "1 000 or more". */
export const mostCounted = 1_000

/**
 * The orders of lists. due: those that are pending, by when they time out; those that never do come last. priority: the most urgent
 * first, and among them the newest. relevance: of a search, what matches best.
 */
export const sorts = ['newest', 'oldest', 'due', 'priority', 'relevance'] as const
export type Sort = (typeof sorts)[number]

export const deciders = ['human', 'policy', 'timeout', 'standing_approval', 'break_glass'] as const
export type Decider = (typeof deciders)[number]

/**
 * pending: no attempt yet; delivering: attempts failed, more will follow soon; failed: the quick retries are used up, and where
 * there is a next attempt, it is one of the recovery.
 */
export const callbackStatuses = ['none', 'pending', 'delivering', 'sent', 'failed'] as const

export interface Answer extends FullAnswer {
  /** The revision that the person read. */
  readonly revision?: number | undefined
  /** What the person's program computed from what it showed them. */
  readonly digest?: string | null | undefined
  /** How long the person may take it back, if that is longer than the request says. */
  readonly holdSeconds?: number | undefined
  /** Done before the row was locked, where it takes long. */
  readonly checked?: CheckedAnswer
}

export interface Responder {
  readonly userId: string
  readonly role: string
  readonly name?: string | null
  /** Where they answer. */
  readonly surface?: Surface
  /** They proved for this very call that it is them. */
  readonly hasStepUp?: boolean
}

export interface Response {
  /** Null where no decision was asked for. */
  readonly decision: Decision | null
  readonly comment: string | null
  readonly choices: readonly string[] | null
  readonly data: JsonText | null
  /** The edited arguments; null: as they were proposed. */
  readonly args: JsonText | null
  readonly argsPatch: JsonText | null
  /** The files, as the wire has them, as a JSON array; null: none. */
  readonly attachments: JsonText | null
  readonly responderId: string
  /** As it was then. Empty: they had none, or it was erased; null: nobody kept it yet. */
  readonly responderName: string | null
  readonly respondedAt: Date
  /** When its texts were erased. */
  readonly erasedAt: Date | null
}

export interface CallbackProgress {
  readonly status: (typeof callbackStatuses)[number]
  readonly attempts: number
  readonly nextAttemptAt: Date | null
  readonly lastError: string | null
  readonly sentAt: Date | null
}

/** unknown: the agent cannot say, for example after a crash. */
export const outcomeStatuses = ['executed', 'failed', 'unknown'] as const

/** What happened when the agent carried out what was decided (outcome.ts). */
export interface ReportedOutcome {
  readonly status: (typeof outcomeStatuses)[number]
  readonly detail: string | null
  /** As the agent wrote it. */
  readonly data: JsonText | null
}

/** The state that acts decide on. */
export interface ConsultationCore {
  readonly organizationId: string
  readonly id: string
  /** The agent that asked. */
  readonly agentId: string
  /** The key it used. */
  readonly apiKeyId: string
  readonly state: State
  readonly revision: number
  readonly timeoutAt: Date | null
  /** When the service must act on its own; null when it need not. */
  readonly nextActionAt: Date | null
  readonly response: Response | null
  readonly decidedBy: Decider | null
  /** Until when the decision is held back from the agent (hold.ts); null when it is not. */
  readonly heldUntil: Date | null
  readonly outcome: (ReportedOutcome & { readonly reportedAt: Date }) | null
  /** The delivery that reports how it was closed; null when none is owed. */
  readonly callbackId: string | null
  readonly callback: CallbackProgress
  /** SHA-256 of the question (digest.ts), in hex. */
  readonly digest: string
  readonly risk: Risk
  /** What the data and arguments of its answer come to. */
  readonly responseBytes: number
  readonly certificateExpiresAt: Date | null
  /** When the approval was used. */
  readonly redeemedAt: Date | null
  /** The marks (`markOf`) of the calls that closed it and used its approval, where they may be repeated. */
  readonly closingCall: string | null
  readonly redeemingCall: string | null
  /** When its texts were erased; its digest cannot be computed any more. */
  readonly erasedAt: Date | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface Proposal extends Asked {
  readonly metadata: JsonText | null
  /** What the agent says. */
  readonly riskProposed: Risk
  readonly priority: Priority
  readonly tags: readonly string[]
  readonly runId: string | null
  /** null: never times out. */
  readonly timeoutMinutes: number | null
  readonly callbackUrl: string | null
  /** Sealed; never on the wire, in a log or in an event. */
  readonly callbackSecret: Buffer | null
  readonly callbackRetrySeconds: readonly number[] | null
  /** The only events that a callback is sent for; null: each way out of `pending`. */
  readonly callbackEvents: readonly CallbackEvent[] | null
  /** W3C Trace Context of the call that asked. */
  readonly traceparent: string | null
  /** How long a decision is held back before the agent gets it. */
  readonly holdSeconds: number
}

export interface Consultation extends ConsultationCore, Omit<Proposal, 'timeoutMinutes' | 'attachments'> {
  readonly attachments: JsonText | null
  /** When what is asked now was asked, and with which key (revision.ts); null for the first revision. */
  readonly revisedAt: Date | null
  readonly revisingKeyId: string | null
  /** The decision as a compact JWS (certificate.ts), as it was issued. */
  readonly certificate: string | null
  /** Read together with the request: whether it is open and its agent paused or stopped. */
  readonly agentPaused?: true
  /** An earlier call did this already: its reply is sent again. */
  readonly isRepeated?: true
  /** In a list: it is large, and `{}` stands for it. */
  readonly contextTruncated?: true
  readonly metadataTruncated?: true
  readonly actionTruncated?: true
  readonly answerAskedTruncated?: true
  readonly presentationTruncated?: true
  readonly responseTruncated?: true
}

/** A row of the ledger of answers: one for each person and revision. */
export interface GivenAnswer extends Omit<Response, 'erasedAt'> {
  /** The revision that it answers. */
  readonly revision: number
  /** When it was taken back, or became void with what it answered. */
  readonly voidedAt?: Date
}

/** Signs a decision; passed in, because rules have no keys. */
export type Certify = (decided: Consultation) => {
  readonly certificate: string
  readonly certificateExpiresAt: Date
}

/** The rule's part of a fact; the call adds the rest (facts.ts). */
export type RequestFact = Pick<Fact, 'kind' | 'actor' | 'before' | 'after' | 'erasable'>

/** What of a request changes when its callback was attempted, and what names it. */
export type CalledBack = Pick<
  ConsultationCore,
  'organizationId' | 'id' | 'agentId' | 'state' | 'callbackId' | 'callback' | 'digest' | 'updatedAt'
>

export interface Change<C extends CalledBack = Consultation> {
  readonly before: C
  readonly after: C
  readonly facts: readonly RequestFact[]
  /** Answers that are new with this change. */
  readonly answers?: readonly GivenAnswer[]
}

/** What a callback can be about: each way out of `pending`, and what only those get who name it. */
export const callbackEvents = [
  'request.responded',
  'request.timeout',
  'request.cancelled',
  'request.revised',
  'request.completed',
] as const
export type CallbackEvent = (typeof callbackEvents)[number]

export const defaultTimeoutMinutes = 1440
export const longestHoldSeconds = 300

export const notFound = refusal(404, 'consultation.not_found', 'Request not found')

interface Outcome {
  readonly decision: Decision | null
  readonly responded_by: string | null
  readonly responded_at: Date | null
  readonly closed_at: Date | null
}

const alreadyClosed = (closing: 'responded' | 'timeout' | 'cancelled') =>
  refusal(
    409,
    `consultation.already_${closing}`,
    (state: State, act: string, outcome: Outcome) => ({
      detail: `Request is already ${state}, cannot ${act}`,
      extra: { state, ...outcome },
    }),
    closing,
    'respond',
    {
      decision: closing === 'responded' ? 'approve' : null,
      responded_by: closing === 'responded' ? '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a59' : null,
      responded_at: closing === 'responded' ? new Date('2026-01-31T09:05:00Z') : null,
      closed_at: new Date('2026-01-31T09:05:00Z'),
    },
  )
export const alreadyResponded = alreadyClosed('responded')
export const alreadyTimeout = alreadyClosed('timeout')
export const alreadyCancelled = alreadyClosed('cancelled')

export const revisionChanged = refusal(
  412,
  'consultation.revision_changed',
  (current: number, meant: number | null) =>
    `The request is at revision ${current}, and what you sent is for ${meant === null ? 'an earlier one' : `revision ${meant}`}. Read it again.`,
  2,
  1,
)

export const questionChanged = refusal(
  409,
  'consultation.question_changed',
  (state: State) => ({
    detail:
      'The stored question is not the one that was asked: its digest no longer matches, so it was changed outside this service. ' +
      'Do not decide or act on it. Tell the operator, and ask again.',
    extra: { state, differs: ['digest'] },
  }),
  'pending',
)

export const takenBack = refusal(
  409,
  'consultation.taken_back',
  'The answer of this Idempotency-Key was taken back. To answer again, use another Idempotency-Key.',
)

export const otherQuestionShown = refusal(
  409,
  'consultation.other_question_shown',
  (digest: string) => ({
    detail:
      'The digest of what was shown is not the digest of this request, so something other than what was asked was shown. ' +
      'Nothing was decided. Read the request again; if the digests still differ, tell the operator.',
    extra: { digest, differs: ['shown'] },
  }),
  '5fc2b16b9a4c4ff7b7a0d1f4d3a2c1e0b9f8e7d6c5b4a39281706f5e4d3c2b1a',
)

export const stillOpen = refusal(
  409,
  'consultation.still_open',
  (state: State) => ({
    detail: 'This request is still open, or its callback is under way. Erase it once both are over.',
    extra: { state },
  }),
  'pending',
)

/** Throws 409 while somebody still needs its texts. */
export function requireErasable({ state, callback }: ConsultationCore): void {
  const mayBeSent = callback.nextAttemptAt !== null
  if (state === 'pending' || callback.status === 'pending' || mayBeSent) throw stillOpen(state)
}

export const noCallback: CallbackProgress = {
  status: 'none',
  attempts: 0,
  nextAttemptAt: null,
  lastError: null,
  sentAt: null,
}

/** The members of a decision while there is none. */
export const noDecision = {
  response: null,
  responseBytes: 0,
  decidedBy: null,
  heldUntil: null,
  certificate: null,
  certificateExpiresAt: null,
} as const

/** How every question begins. */
const undecided = {
  ...noDecision,
  state: 'pending',
  outcome: null,
  callbackId: null,
  callback: noCallback,
  redeemedAt: null,
  redeemingCall: null,
} as const

export function open(
  proposal: Proposal,
  { organizationId, agentId, apiKeyId }: Pick<Consultation, 'organizationId' | 'agentId' | 'apiKeyId'>,
  id: string,
  now: Date,
): Omit<Change, 'before'> {
  const after: Consultation = {
    ...asking(proposal, null, now),
    revision: 1,
    organizationId,
    agentId,
    apiKeyId,
    id,
    revisedAt: null,
    revisingKeyId: null,
    closingCall: null,
    erasedAt: null,
    createdAt: now,
    updatedAt: now,
  }
  const actor: Actor = { kind: 'agent', id: agentId, keyId: apiKeyId }
  return { after, facts: [{ kind: 'request.created', actor, before: null, ...askedFact(after) }] }
}

/** What is asked from now on, with these files; nobody has decided it. */
export function asking({ timeoutMinutes, ...asked }: Proposal, attachments: JsonText | null, now: Date) {
  const timeoutAt = timeoutMinutes === null ? null : new Date(now.getTime() + timeoutMinutes * 60_000)
  const digest = digestOf({ ...asked, attachments })
  return { ...asked, ...undecided, attachments, timeoutAt, nextActionAt: timeoutAt, digest, risk: asked.riskProposed }
}

/** What the event of a question says of it. */
export function askedFact({ timeoutAt, risk, title, callbackUrl }: Consultation) {
  return {
    after: { state: 'pending', timeout_at: timeoutAt, risk },
    erasable: { title, callback_webhook: callbackUrl },
  }
}

/** Throws 409 unless what is stored is what was asked, or was erased after it was closed. */
export function requireAsAsked(stored: Consultation): void {
  if (stored.erasedAt !== null && stored.state !== 'pending') return
  if (digestOf(stored) !== stored.digest) throw questionChanged(stored.state)
}

export function respond(
  before: Consultation,
  responder: Responder,
  answer: Answer,
  now: Date,
  certify: Certify,
  idempotency: Idempotency | null = null,
): Change {
  if (before.response?.responderId === responder.userId) {
    const mark = repeated(before.closingCall, idempotency)
    if (mark !== null) return unchanged(before, asAnswered(before, holdOf(before, answer), mark))
  }
  requirePending(before, 'respond', now)
  const earlier = repeated(before.closingCall, idempotency)
  // The question has been revised since: the call must not answer the new one.
  if (earlier !== null && before.revisedAt !== null && earlier.updatedAt < before.revisedAt) {
    throw revisionChanged(before.revision, null)
  }
  if (earlier !== null) throw takenBack()
  requireAsAsked(before)
  // First, so that an answer to what was asked before is late, and not a sign of tampering.
  if (answer.revision !== undefined && answer.revision !== before.revision) {
    throw revisionChanged(before.revision, answer.revision)
  }
  if (answer.digest != null && answer.digest !== before.digest) throw otherQuestionShown(before.digest)
  requireSurface(before.risk, responder.surface ?? 'inbox')
  const { checked } = answer
  const isChecked = checked?.digest === before.digest && checked.risk === before.risk
  const { argsPatch } = isChecked ? checked : checkAnswer(before, answer)
  // They may have been removed since, or taken by another answer: they are looked up again under the lock.
  const attachments = checkFiles(before, answer)
  const confirmation = confirmationOf(before, answer, responder.hasStepUp === true)
  const { decision, comment, choices = null, data = null, args = null } = answer
  const response = {
    decision,
    comment,
    choices,
    data,
    args,
    argsPatch,
    attachments,
    responderId: responder.userId,
    responderName: responder.name ?? '',
    respondedAt: now,
  }
  const closingCall = markOf(idempotency, { at: now, updatedAt: later(before, now) })
  const decided: Consultation = {
    ...before,
    response: { ...response, erasedAt: null },
    responseBytes: bytesOf([data, args, argsPatch]),
    decidedBy: 'human',
    closingCall,
  }
  const certified: Consultation = { ...decided, ...certify(decided) }
  const actor: Actor = { kind: 'person', id: responder.userId }
  const holdMs = holdOf(before, answer)
  const heldUntil = holdMs === 0 ? null : new Date(now.getTime() + holdMs)
  // The role now: it may be another one when somebody asks later whether they were entitled.
  const more = {
    role: responder.role,
    ...(heldUntil === null ? {} : { held_until: heldUntil }),
    ...(confirmation === null ? {} : { risk: before.risk, confirmation }),
    ...answerDigests(certified),
  }
  const answers = [{ ...response, revision: before.revision }]
  if (heldUntil === null) {
    return { ...close({ ...certified, state: 'responded' }, before, actor, 'request.responded', now, more), answers }
  }
  const after: Consultation = { ...certified, heldUntil, nextActionAt: heldUntil, updatedAt: later(before, now) }
  return { before, after, facts: [decisionFact('request.responded', actor, before, after, more)], answers }
}

const holdOf = ({ holdSeconds }: Consultation, answer: Answer): number =>
  Math.max(holdSeconds, answer.holdSeconds ?? 0) * 1_000

const bytesOf = (texts: readonly (JsonText | null)[]): number =>
  texts.reduce((sum, text) => sum + (text === null ? 0 : Buffer.byteLength(text)), 0)

/** What binds the values of an answer, and the arguments that it lets the agent use: those it edited, or those proposed. */
export function answerDigests({ action, response }: Pick<Consultation, 'action' | 'response'>) {
  if (response === null) return {}
  const { data, args, attachments } = response
  return {
    ...(attachments === null ? {} : { attachments_digest: jsonDigest(attachments) }),
    ...(data === null ? {} : { data_digest: jsonDigest(data) }),
    ...(args === null && action === null
      ? {}
      : { args_digest: args === null ? argsDigest(action as JsonText) : jsonDigest(args) }),
  }
}

export function cancel(before: Consultation, actor: Actor, now: Date, idempotency: Idempotency | null = null): Change {
  const mark = before.state === 'cancelled' ? repeated(before.closingCall, idempotency) : null
  if (mark !== null) return unchanged(before, asClosed(before, 'cancelled', mark))
  // An agent sees no decision that is held back, and may still withdraw.
  if (!isHeld(before)) requirePending(before, 'cancel', now)
  const withdrawn: Consultation = {
    ...before,
    ...noDecision,
    state: 'cancelled',
    closingCall: markOf(idempotency, { at: now, updatedAt: later(before, now) }),
  }
  const change = close(withdrawn, before, actor, 'request.cancelled', now)
  const facts = change.facts.map((fact) => ({ ...fact, before: { ...fact.before, ...heldDecision(before) } }))
  return { ...change, facts, ...voidedAnswer(before, now) }
}

export function expire(before: Consultation, now: Date): Change {
  const expired: Consultation = { ...before, state: 'timeout', decidedBy: 'timeout' }
  return close(expired, before, { kind: 'timer', id: null }, 'request.timed_out', now)
}

/** A decision that is held back came in time. */
export function isOverdue({ timeoutAt, heldUntil }: ConsultationCore, now: Date): boolean {
  return heldUntil === null && timeoutAt !== null && timeoutAt <= now
}

export const isHeld = ({ heldUntil }: Pick<ConsultationCore, 'heldUntil'>): boolean => heldUntil !== null

/** When the service must act by itself (due.ts): to release the decision that is held back, or else to time out. */
export function nextActionOf({ state, heldUntil, timeoutAt }: ConsultationCore): Date | null {
  return state === 'pending' ? (heldUntil ?? timeoutAt) : null
}

/** What the event of an act that takes a held decision back, or makes it void, says of it. Empty if none is held. */
export function heldDecision({ response, heldUntil }: ConsultationCore) {
  return heldUntil === null ? {} : { decision: response?.decision ?? null, held_until: heldUntil }
}

/** Marks the answer void in the ledger, where it stays. */
export function voidedAnswer({ response, revision }: Consultation, now: Date): Pick<Change, 'answers'> {
  return response === null ? {} : { answers: [{ ...response, revision, voidedAt: now }] }
}

/** However many callers race, there is one outcome: the refusal tells the others who won, and when. */
export function requirePending(before: Consultation, act: string, now: Date): void {
  const isOver = before.state === 'pending' && isOverdue(before, now)
  const state = isOver ? 'timeout' : isHeld(before) ? 'responded' : before.state
  if (state === 'pending') return
  // One code for "already decided", whatever the state of the callback: the loser could not act on that.
  const already = state === 'timeout' ? alreadyTimeout : state === 'cancelled' ? alreadyCancelled : alreadyResponded
  throw already(state, act, {
    decision: before.response?.decision ?? null,
    responded_by: before.response?.responderId ?? null,
    responded_at: before.response?.respondedAt ?? null,
    closed_at: before.response?.respondedAt ?? (state === 'timeout' ? before.timeoutAt : before.updatedAt),
  })
}

/** The one way out of `pending`: the timer ends, and the callback is owed from this commit on. */
export function close(
  decided: Consultation,
  before: Consultation,
  actor: Actor,
  kind: RequestFact['kind'],
  now: Date,
  more: Readonly<Record<string, unknown>> = {},
): Change {
  const callback = callbackOwed(decided, now)
  const after: Consultation = { ...decided, nextActionAt: null, callback, updatedAt: later(before, now) }
  return { before, after, facts: [decisionFact(kind, actor, before, after, more)] }
}

function decisionFact(
  kind: RequestFact['kind'],
  actor: Actor,
  before: Consultation,
  after: Consultation,
  more: Readonly<Record<string, unknown>>,
): RequestFact {
  const { state, revision, response } = after
  const decision = response === null ? {} : { decision: response.decision }
  // Once, where it was written.
  const isNew = response !== null && before.response === null
  const { comment = null, choices = null } = isNew ? response : {}
  const said = { ...(comment === null ? {} : { comment }), ...(choices === null ? {} : { choices }) }
  const erasable = Object.keys(said).length === 0 ? {} : { erasable: said }
  return { kind, actor, before: { state: before.state }, after: { state, revision, ...decision, ...more }, ...erasable }
}

function callbackOwed({ callbackUrl, callbackEvents, state }: Consultation, now: Date): CallbackProgress {
  const isWanted = callbackEvents === null || callbackEvents.some((event) => event === `request.${state}`)
  return callbackUrl === null || !isWanted ? noCallback : { ...noCallback, status: 'pending', nextAttemptAt: now }
}

/** The request as the act that closed it left it, whatever has happened since. */
function asClosed(closed: Consultation, state: 'responded' | 'cancelled', { at, updatedAt }: Mark): Consultation {
  return {
    ...closed,
    state,
    callback: callbackOwed({ ...closed, state }, at),
    redeemedAt: null,
    heldUntil: null,
    outcome: null,
    updatedAt,
  }
}

/** The request as its answer left it, whatever has happened since. */
function asAnswered(answered: Consultation, holdMs: number, mark: Mark): Consultation {
  const closed = asClosed(answered, 'responded', mark)
  if (holdMs === 0) return closed
  return { ...closed, state: 'pending', callback: noCallback, heldUntil: new Date(mark.at.getTime() + holdMs) }
}

/** The request as it was created, whatever has happened since: the reply to a repeated Idempotency-Key. */
export function initialReply(now: Consultation): Consultation {
  const asked =
    now.attachments === null ? now : { ...now, attachments: null, digest: digestOf({ ...now, attachments: null }) }
  const first = { revision: 1, revisedAt: null, revisingKeyId: null, closingCall: null } as const
  return { ...asked, ...undecided, ...first, nextActionAt: now.timeoutAt, updatedAt: now.createdAt }
}
