import type { Selectable } from 'kysely'
import { type DeliveryStatus, statusOf } from '../deliveries/list-store.ts'
import type { Schema } from '../platform/database/schema.gen.ts'
import type { JsonText } from '../platform/json.ts'
import {
  type CallbackEvent,
  type CallbackProgress,
  type CalledBack,
  type Consultation,
  type ConsultationCore,
  noCallback,
  type Response,
  type State,
} from './consultation.ts'

/**
 * The columns of a request's row, each once: selects, inserts and saves are made from this list. The core is what acts decide
 * on; `asked` and `large` are the contents, which only a revision changes, as it does `fixed` ones (revision-store.ts); `added` is
 * what the agent adds later, and `large` ones weigh in batches and lists.
 */
const columns = {
  organization_id: 'fixed',
  id: 'fixed',
  agent_id: 'fixed',
  api_key_id: 'fixed',
  timeout_at: 'fixed',
  digest: 'fixed',
  erased_at: 'fixed',
  created_at: 'fixed',
  state: 'changing',
  revision: 'changing',
  next_action_at: 'changing',
  decision: 'changing',
  responder_id: 'changing',
  decided_by: 'changing',
  held_until: 'changing',
  outcome_status: 'changing',
  outcome_detail: 'changing',
  outcome_data: 'changing',
  outcome_at: 'changing',
  response_bytes: 'changing',
  risk: 'fixed',
  callback_id: 'changing',
  certificate_expires_at: 'changing',
  redeemed_at: 'changing',
  closing_call: 'changing',
  redeeming_call: 'changing',
  updated_at: 'changing',
  certificate: 'certified',
  title: 'asked',
  description: 'asked',
  justification: 'asked',
  risk_proposed: 'asked',
  priority: 'asked',
  tags: 'asked',
  run_id: 'asked',
  callback_url: 'asked',
  callback_secret: 'asked',
  callback_retry_seconds: 'asked',
  attachments: 'added',
  callback_events: 'asked',
  traceparent: 'asked',
  hold_seconds: 'asked',
  revised_at: 'asked',
  revising_key_id: 'asked',
  context: 'large',
  metadata: 'large',
  action: 'large',
  answer_asked: 'large',
  presentation: 'large',
} as const
type Name = keyof typeof columns
type Part = (typeof columns)[Name]
type NameIn<P extends Part> = { [N in Name]: (typeof columns)[N] extends P ? N : never }[Name]

export function columnsIn<P extends Part>(...parts: readonly P[]): readonly NameIn<P>[] {
  return (Object.keys(columns) as Name[]).filter((name): name is NameIn<P> => parts.includes(columns[name] as P))
}

const core = columnsIn('fixed', 'changing')

type Stored = Selectable<Schema['consultation_requests']>
type Answered = Selectable<Schema['consultation_answers']>

type Delivered = Selectable<Schema['deliveries']>
type Nullable<T> = { readonly [N in keyof T]: T[N] | null }

/** What is read of a delivery. */
export type ProgressRow = Nullable<
  Pick<Delivered, 'settled' | 'attempts' | 'planned_at' | 'last_error' | 'sent_at' | 'changed_at'> & {
    /** What was withdrawn is no callback of its request any more. */
    readonly progress: Exclude<DeliveryStatus, 'withdrawn'>
  }
>

export type AnsweredRow = Pick<Stored, 'decision' | 'responder_id'> &
  Nullable<Pick<Answered, 'comment' | 'answered_at' | 'choices' | 'responder_name'>> & {
    readonly answer_erased_at: Date | null
    readonly answer_attachments: JsonText | null
    /** Missing where the row was read without what is large. */
    readonly data?: JsonText | null
    readonly args?: JsonText | null
    readonly args_patch?: JsonText | null
  }

export type CoreRow = Pick<Stored, Exclude<NameIn<'fixed' | 'changing'>, 'digest'>> &
  AnsweredRow &
  ProgressRow & { readonly digest: string }

/** A row of an earlier revision. */
export type RevisionRow = Omit<
  Selectable<Schema['consultation_revisions']>,
  'organization_id' | 'digest' | 'bytes' | 'response_bytes'
> &
  AnsweredRow & { readonly digest: string; readonly voided_at: Date | null }

export type Row = CoreRow &
  Pick<Stored, NameIn<'certified' | 'asked' | 'added' | 'large'>> & {
    readonly agent_paused?: boolean | null
    readonly context_truncated?: boolean
    readonly metadata_truncated?: boolean
    readonly action_truncated?: boolean
    readonly answer_asked_truncated?: boolean
    readonly presentation_truncated?: boolean
    readonly response_truncated?: boolean
  }

/** Joins the answer that closed the request `c`. */
export const closingAnswer = `left join lateral (
    select a.comment, a.answered_at, a.choices, a.data, a.args, a.args_patch, a.responder_name,
      a.attachments as answer_attachments, a.erased_at as answer_erased_at, a.voided_at from consultation_answers a
    where a.organization_id = c.organization_id and a.request_id = c.id and a.revision = c.revision
      and a.responder_id = c.responder_id offset 0) a on true`

/** Joins the callback of the request `c`. */
export const itsCallback = `left join lateral (select * from deliveries o
    where o.organization_id = c.organization_id and o.id = c.callback_id offset 0) o on true`

/** Joins what is known elsewhere of how the request `c` was closed: the answer, and the progress of its callback. */
export const closing = `${closingAnswer}
  ${itsCallback}`

export const selectedProgress = `o.settled, ${statusOf('o')} as progress, o.attempts, o.planned_at, o.last_error, o.sent_at, o.changed_at`

/** The state that the request `c` with its callback `o` shows, as `stateOf` has it. */
export const shownState = `case when c.state = 'responded' and o.settled is not null then 'callback_' || o.settled else c.state end`

/** What a select lists of the request `c`. */
export function selected(wanted: readonly Name[]): string {
  return wanted.map((name) => (name === 'digest' ? `encode(c.digest, 'hex') as digest` : `c.${name}`)).join(', ')
}

const named = [
  'organization_id',
  'id',
  'agent_id',
  'state',
  'callback_id',
  'digest',
  'erased_at',
  'updated_at',
] as const
/** What a change of its callback needs of the request `c` with its callback `o`. */
export const selectedCalledBack = `${selected(named)}, ${selectedProgress}`
export type CalledBackRow = Pick<CoreRow, (typeof named)[number]> & ProgressRow

const ofAnswer = 'a.comment, a.answered_at, a.choices, a.responder_name, a.answer_attachments, a.answer_erased_at'
/** What of an answer may be large. */
export const largeOfAnswer = ['data', 'args', 'args_patch'] as const
/** The answer that closed a request, whole. */
export const selectedAnswer = `${ofAnswer}, ${largeOfAnswer.map((name) => `a.${name}`).join(', ')}`

/** The core of the request `c`, with what `closing` joins. */
export const selectedCore = `${selected(core)}, ${ofAnswer}, ${selectedProgress}`

export function toCore(row: CoreRow): ConsultationCore {
  return {
    ...toCalledBack(row),
    apiKeyId: row.api_key_id,
    revision: row.revision,
    timeoutAt: row.timeout_at,
    nextActionAt: row.next_action_at,
    response: responseOf(row),
    decidedBy: row.decided_by,
    heldUntil: row.held_until,
    outcome:
      row.outcome_status === null || row.outcome_at === null
        ? null
        : {
            status: row.outcome_status,
            detail: row.outcome_detail,
            data: row.outcome_data,
            reportedAt: row.outcome_at,
          },
    risk: row.risk,
    responseBytes: row.response_bytes,
    certificateExpiresAt: row.certificate_expires_at,
    redeemedAt: row.redeemed_at,
    closingCall: row.closing_call,
    redeemingCall: row.redeeming_call,
    erasedAt: row.erased_at,
    createdAt: row.created_at,
  }
}

export function toCalledBack(row: CalledBackRow): CalledBack {
  return {
    organizationId: row.organization_id,
    id: row.id,
    agentId: row.agent_id,
    state: stateOf(row.state, row.settled),
    callbackId: row.callback_id,
    callback: progressOf(row, row.erased_at),
    digest: row.digest,
    updatedAt: latest(row.updated_at, row.changed_at),
  }
}

/** The answer that a row names, with what `closingAnswer` joins. */
export function responseOf(row: AnsweredRow): Response | null {
  const { decision, comment, choices, responder_id: responderId, answered_at: respondedAt } = row
  const { data = null, args = null, args_patch: argsPatch = null, answer_erased_at: erasedAt } = row
  const { answer_attachments: attachments, responder_name: responderName } = row
  if (responderId === null || respondedAt === null) return null
  const given = { decision, comment, choices, data, args, argsPatch, attachments }
  return { ...given, responderId, responderName, respondedAt, erasedAt }
}

/** The same request with the progress of its callback read anew. */
export function withProgress<C extends ConsultationCore>(known: C, row: ProgressRow): C {
  const state = stateOf(storedState(known.state), row.settled)
  return {
    ...known,
    state,
    callback: progressOf(row, known.erasedAt),
    updatedAt: latest(known.updatedAt, row.changed_at),
  }
}

/** What its callback adds is not in the row. */
function storedState(state: State) {
  return state === 'callback_sent' || state === 'callback_failed' ? 'responded' : state
}

function stateOf(state: Exclude<State, 'callback_sent' | 'callback_failed'>, settled: 'sent' | 'failed' | null): State {
  return state === 'responded' && settled !== null ? `callback_${settled}` : state
}

function latest(one: Date, other: Date | null): Date {
  return other !== null && other > one ? other : one
}

function progressOf(row: ProgressRow, erasedAt: Date | null): CallbackProgress {
  const { attempts, planned_at: nextAttemptAt, sent_at: sentAt } = row
  if (row.progress === null || attempts === null) return noCallback
  if (erasedAt !== null) return { status: 'none', attempts, nextAttemptAt: null, lastError: null, sentAt }
  return { status: row.progress, attempts, nextAttemptAt, lastError: row.last_error, sentAt }
}

export function toConsultation(row: Row): Consultation {
  return {
    ...toCore(row),
    certificate: row.certificate,
    title: row.title,
    description: row.description,
    context: row.context,
    metadata: row.metadata,
    action: row.action,
    answerAsked: row.answer_asked,
    presentation: row.presentation,
    justification: row.justification,
    riskProposed: row.risk_proposed,
    priority: row.priority,
    tags: row.tags,
    runId: row.run_id,
    callbackUrl: row.callback_url,
    callbackSecret: row.callback_secret,
    callbackRetrySeconds: row.callback_retry_seconds,
    attachments: row.attachments,
    callbackEvents: row.callback_events as readonly CallbackEvent[] | null,
    traceparent: row.traceparent,
    holdSeconds: row.hold_seconds,
    revisedAt: row.revised_at,
    revisingKeyId: row.revising_key_id,
    ...(row.agent_paused === true ? { agentPaused: true } : {}),
    ...(row.context_truncated === true ? { contextTruncated: true } : {}),
    ...(row.metadata_truncated === true ? { metadataTruncated: true } : {}),
    ...(row.action_truncated === true ? { actionTruncated: true } : {}),
    ...(row.answer_asked_truncated === true ? { answerAskedTruncated: true } : {}),
    ...(row.presentation_truncated === true ? { presentationTruncated: true } : {}),
    ...(row.response_truncated === true ? { responseTruncated: true } : {}),
  }
}

type Written = ConsultationCore & Partial<Consultation>

/** Columns that do not hold the member of their name. */
const valuesOf: { readonly [N in Name]?: (of: Written) => unknown } = {
  digest: ({ digest }) => `\\x${digest}`,
  decision: ({ response }) => response?.decision,
  responder_id: ({ response }) => response?.responderId,
  state: ({ state }) => storedState(state),
  outcome_status: ({ outcome }) => outcome?.status,
  outcome_detail: ({ outcome }) => outcome?.detail,
  outcome_data: ({ outcome }) => outcome?.data,
  outcome_at: ({ outcome }) => outcome?.reportedAt,
  callback_secret: ({ callbackSecret }) => callbackSecret && hex(callbackSecret),
}

/** Bytes as JSON holds them for a bytea column. */
export const hex = (bytes: Buffer): string => `\\x${bytes.toString('hex')}`

/** A writer of these columns as one object of the JSON for json_populate_recordset, which takes what is missing as null. */
export function writerOf(wanted: readonly Name[]) {
  const parts = wanted.map((name) => {
    const member = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()) as keyof Written
    // What is JSON already is spliced in as text: PostgreSQL's json type keeps every character of it.
    const write = columns[name] === 'large' || name === 'outcome_data' ? String : JSON.stringify
    return { begin: `"${name}":`, read: valuesOf[name] ?? ((of: Written) => of[member]), write }
  })
  return (of: Written, more: Readonly<Record<string, unknown>> = {}): string => {
    const members: string[] = []
    for (const { begin, read, write } of parts) {
      const value = read(of)
      if (value != null) members.push(begin + write(value))
    }
    for (const name in more) if (more[name] != null) members.push(`"${name}":${JSON.stringify(more[name])}`)
    return `{${members.join(',')}}`
  }
}
