import type { Queryable, Statement } from '../platform/database/db.ts'
import type { JsonText } from '../platform/json.ts'
import { closingAnswer, columnsIn, type RevisionRow, responseOf, selectedAnswer, writerOf } from './columns.ts'
import type { CallbackEvent, Consultation, Response } from './consultation.ts'
import type { Key } from './row-keys.ts'

/** What a request asked in a revision. */
export type RevisionTexts = Pick<
  Consultation,
  | 'title'
  | 'description'
  | 'context'
  | 'metadata'
  | 'action'
  | 'answerAsked'
  | 'justification'
  | 'presentation'
  | 'attachments'
  | 'digest'
  | 'risk'
  | 'riskProposed'
  | 'priority'
  | 'tags'
  | 'runId'
  | 'holdSeconds'
  | 'timeoutAt'
  | 'callbackUrl'
  | 'callbackEvents'
  | 'traceparent'
>

export interface Revision extends RevisionTexts {
  readonly revision: number
  /** With which key it was asked, and when. */
  readonly apiKeyId: string
  readonly askedAt: Date
  /** When the next one took its place; null for what is asked now. */
  readonly revisedAt: Date | null
  readonly decidedBy: Consultation['decidedBy']
  readonly response: Response | null
  /** When the response was taken back, or became void because the question was revised. */
  readonly voidedAt: Date | null
  readonly certificate: string | null
  readonly erasedAt: Date | null
}

/** What is asked now. */
export function currentRevision(found: Consultation): Revision {
  return { ...found, apiKeyId: found.revisingKeyId ?? found.apiKeyId, ...timesOf(found), voidedAt: null }
}

const timesOf = ({ revisedAt, createdAt }: Consultation) => ({ askedAt: revisedAt ?? createdAt, revisedAt: null })

/** Columns that both tables have. */
const copied = [
  'title',
  'description',
  'context',
  'metadata',
  'action',
  'answer_asked',
  'justification',
  'presentation',
  'attachments',
  'digest',
  'risk',
  'risk_proposed',
  'priority',
  'tags',
  'run_id',
  'hold_seconds',
  'timeout_at',
  'callback_url',
  'callback_events',
  'traceparent',
  'responder_id',
  'decision',
  'decided_by',
  'response_bytes',
  'erased_at',
] as const

// Whether the agent may ask is read as when it asks anew (store.ts). A certificate that nobody has seen proves nothing.
const keepStatement: Statement = {
  name: 'consultations_keep_revision',
  text: `
    with asking as materialized (
      select a.status = 'active' and a.organization_status = 'active' as may from agents a
      where a.organization_id = $1 and a.id = $3 for key share
    )
    insert into consultation_revisions (organization_id, request_id, revision, api_key_id, asked_at, revised_at, certificate,
      ${copied.join(', ')})
    select c.organization_id, c.id, c.revision, coalesce(c.revising_key_id, c.api_key_id), coalesce(c.revised_at, c.created_at),
      $4, case when c.held_until is null then c.certificate end, ${copied.map((name) => `c.${name}`).join(', ')}
    from consultation_requests c where c.organization_id = $1 and c.id = $2
      and (select case when bool_and(may) then true else hitl_refuse_agent() end from asking)`,
}

const replaced = [...columnsIn('asked', 'large'), 'timeout_at', 'digest', 'risk'] as const
const replaceStatement: Statement = {
  name: 'consultations_replace_question',
  text: `update consultation_requests c set ${replaced.map((name) => `${name} = after.${name}`).join(', ')}
    from json_populate_recordset(null::consultation_requests, $3) as after
    where c.organization_id = $1 and c.id = $2`,
}
const writeReplaced = writerOf(replaced)

/** Keeps what a locked request asks as a row of its own, and puts the new question in its place. The rest is saved as ever. */
export async function replaceQuestion(
  tx: Queryable,
  { organizationId, id, agentId }: Consultation,
  after: Consultation,
) {
  await Promise.all([
    tx.execute(keepStatement, [organizationId, id, agentId, after.revisedAt]),
    tx.execute(replaceStatement, [organizationId, id, `[${writeReplaced(after)}]`]),
  ])
}

const shownTexts = copied
  .map((name) => (name === 'digest' ? `encode(c.digest, 'hex') as digest` : `c.${name}`))
  .join(', ')
const shown = `c.request_id, c.revision, c.api_key_id, c.asked_at, c.revised_at, c.certificate, ${shownTexts},
  ${selectedAnswer}, a.voided_at`

/** What the rows of a page come to at most, unless those of the first two do. */
const pageBytes = 1_048_576

const earlierStatement: Statement = {
  name: 'consultations_revisions',
  text: `select ${shown} from (
      select r.*, r.request_id as id, sum(r.bytes) over newest as so_far, row_number() over newest as number
      from consultation_revisions r where r.organization_id = $1 and r.request_id = $2 and r.revision < $3
      window newest as (order by r.revision desc) order by r.revision desc limit $4) c ${closingAnswer}
    where c.number <= 2 or c.so_far <= ${pageBytes}
    order by c.revision desc`,
}

/** The revisions before the one numbered `before`, newest first: at most `limit`, fewer where they are large, and two at least. */
export async function earlier(db: Queryable, { organizationId, id }: Key, before: number, limit: number) {
  const rows = await db.execute<RevisionRow>(earlierStatement, [organizationId, id, before, limit])
  return rows.map(toRevision)
}

const firstStatement: Statement = {
  name: 'consultations_first_revisions',
  text: `select c.request_id, ${shownTexts} from unnest($2::uuid[]) as wanted(id) cross join lateral (
      select * from consultation_revisions r
      where r.organization_id = $1 and r.request_id = wanted.id and r.revision = 1 offset 0) c`,
}

/** The requests of one organization as they were asked first. */
export async function asFirstAsked(db: Queryable, found: readonly Consultation[]): Promise<readonly Consultation[]> {
  const revised = found.filter(({ revision }) => revision > 1)
  const [one] = revised
  if (one === undefined) return found
  const rows = await db.execute<RevisionRow>(firstStatement, [one.organizationId, revised.map(({ id }) => id)])
  const first = new Map(rows.map((row) => [row.request_id, textsOf(row)]))
  return found.map((now) => ({ ...now, ...first.get(now.id) }))
}

const byDigestStatement: Statement = {
  name: 'consultations_revision_by_digest',
  text: `select revision from consultation_revisions
    where organization_id = $1 and request_id = $2 and digest = $3 order by revision desc limit 1`,
}

/** Which earlier revision has this digest; null: none. */
export async function revisionWith(db: Queryable, { organizationId, id }: Key, digest: string): Promise<number | null> {
  const values = [organizationId, id, Buffer.from(digest, 'hex')]
  const [row] = await db.execute<{ revision: number }>(byDigestStatement, values)
  return row?.revision ?? null
}

const eraseStatement: Statement = {
  name: 'consultations_erase_revisions',
  text: `update consultation_revisions set title = $3, description = null, context = '{}', metadata = null, action = null,
      answer_asked = null, justification = null, presentation = null, attachments = null, tags = '{}', run_id = null,
      callback_url = null, response_bytes = 0, erased_at = $4
    where organization_id = $1 and request_id = $2`,
}

/** Empties what an agent wrote in the earlier revisions of a locked request. */
export async function erase(tx: Queryable, { organizationId, id }: Key, title: string, now: Date): Promise<void> {
  await tx.execute(eraseStatement, [organizationId, id, title, now])
}

function textsOf(row: RevisionRow): RevisionTexts {
  return {
    title: row.title,
    description: row.description,
    context: row.context as JsonText,
    metadata: row.metadata as JsonText | null,
    action: row.action as JsonText | null,
    answerAsked: row.answer_asked as JsonText | null,
    justification: row.justification,
    presentation: row.presentation as JsonText | null,
    attachments: row.attachments as JsonText | null,
    digest: row.digest,
    risk: row.risk,
    riskProposed: row.risk_proposed,
    priority: row.priority,
    tags: row.tags,
    runId: row.run_id,
    holdSeconds: row.hold_seconds,
    timeoutAt: row.timeout_at,
    callbackUrl: row.callback_url,
    callbackEvents: row.callback_events as readonly CallbackEvent[] | null,
    traceparent: row.traceparent,
  }
}

function toRevision(row: RevisionRow): Revision {
  return {
    ...textsOf(row),
    revision: row.revision,
    apiKeyId: row.api_key_id,
    askedAt: row.asked_at,
    revisedAt: row.revised_at,
    decidedBy: row.decided_by,
    response: responseOf(row),
    voidedAt: row.voided_at,
    certificate: row.certificate,
    erasedAt: row.erased_at,
  }
}
