import type { Queryable, Statement } from '../platform/database/db.ts'
import type { Earlier } from '../platform/idempotency.ts'
import {
  type CalledBackRow,
  type CoreRow,
  closing,
  closingAnswer,
  columnsIn,
  hex,
  itsCallback,
  largeOfAnswer,
  type ProgressRow,
  type Row,
  selected,
  selectedAnswer,
  selectedCalledBack,
  selectedCore,
  selectedProgress,
  toCalledBack,
  toConsultation,
  toCore,
  withProgress,
  writerOf,
} from './columns.ts'
import type { CalledBack, Change, Consultation, ConsultationCore, GivenAnswer, State } from './consultation.ts'
import type { Key } from './row-keys.ts'

/**
 * Frequent statements take their rows as one JSON parameter and serve any number of acts at once (see platform/batch.ts).
 * The pool's planner settings keep them on index look-ups, whatever the statistics (platform/database/db.ts).
 */

/** A scalar sub-select takes one look-up by primary key per open request and none for others; EXISTS could become a hash over all agents. */
const agentPaused = `case when c.state = 'pending' then
  (select a.status <> 'active' or a.organization_status <> 'active' from agents a
    where a.organization_id = c.organization_id and a.id = c.agent_id) end as agent_paused`

/** All but what is large. */
const withoutLarge = `${selectedCore}, ${selected(columnsIn('certified', 'asked', 'added'))}`
const small = `${withoutLarge}, ${largeOfAnswer.map((name) => `a.${name}`).join(', ')}`

/** Larger ones are left out of lists, and of replies with many requests. */
export const lightBytes = 4_096
const lightly: Readonly<Record<string, string>> = {
  context: `'{}'`,
  metadata: `'{}'`,
  action: `json_build_object('name', c.action->'name', 'args', '{}'::json)`,
  answer_asked: 'null',
  presentation: 'null',
}
/** Everything else, at most. */
const rowBytes = 2_000

/** What a list selects; `light`: what is large is replaced by `{}`. `bytes`: what the row comes to in a reply, or a little more. */
export function listedColumns(light: boolean): string {
  const large = columnsIn('large').map((name) => ({ name, isLarge: `c.${name}_bytes > ${lightBytes}` }))
  const shown = large.map(({ name, isLarge }) =>
    light
      ? `case when ${isLarge} then ${lightly[name]} else c.${name} end as ${name}, ${isLarge} as ${name}_truncated`
      : `c.${name}`,
  )
  const isLargeAnswer = `c.response_bytes > ${lightBytes}`
  const answer = light
    ? [
        ...largeOfAnswer.map((name) => `case when not ${isLargeAnswer} then a.${name} end as ${name}`),
        `${isLargeAnswer} as response_truncated`,
      ]
    : largeOfAnswer.map((name) => `a.${name}`)
  const weights = [
    ...large.map(({ name, isLarge }) =>
      light ? `case when ${isLarge} then 0 else c.${name}_bytes end` : `c.${name}_bytes`,
    ),
    light ? `case when ${isLargeAnswer} then 0 else c.response_bytes end` : 'c.response_bytes',
    // As JSON, in which a character may become six.
    ...['c.title', 'c.description', 'c.justification', 'c.outcome_detail', 'a.comment'].map(
      (text) => `coalesce(octet_length(to_json(${text})::text), 0)`,
    ),
    ...[
      'c.callback_url',
      'o.last_error',
      'c.certificate',
      'c.outcome_data',
      'c.attachments',
      'c.tags',
      'c.run_id',
      'a.choices',
      'a.responder_name',
      'a.answer_attachments',
    ].map((name) => `coalesce(octet_length(${name}::text), 0)`),
  ]
  return `${withoutLarge}, ${[...shown, ...answer].join(', ')}, ${agentPaused}, ${rowBytes} + ${weights.join(' + ')} as bytes`
}

function keysParameter(keys: readonly Key[]): string {
  return JSON.stringify(keys.map((key) => ({ organization_id: key.organizationId, id: key.id })))
}

const wanted = 'json_to_recordset($1) as wanted(organization_id uuid, id uuid)'
const isWanted = 'c.organization_id = wanted.organization_id and c.id = wanted.id'

/** What the contents of one batch come to at most, unless those of the first are more: they are held several times over. */
const batchBytes = 8 * 1_048_576

/** What is large. */
const batchWeight = [...columnsIn('large').map((name) => `c.${name}_bytes`), 'c.response_bytes'].join(' + ')

const inBatch = (source: string, shown: string): string =>
  `select ${shown}, ${columnsIn('large')
    .map((name) => `case when c.fits then c.${name} end as ${name}`)
    .join(', ')}, c.fits
    from (select c.*, sum(${batchWeight}) over batch <= ${batchBytes}
        or row_number() over batch = 1 as fits
      from ${source} window batch as (order by c.id)) c
    ${closing}`

type BatchRow = Row & { readonly fits: boolean }

/** Rows that were looked for together, in any order. */
export interface Batch {
  readonly found: readonly Consultation[]
  /** Those that exist and would make the batch too large: look for them again. */
  readonly left: readonly Key[]
}

function toBatch(rows: readonly BatchRow[]): Batch {
  return {
    found: rows.filter(({ fits }) => fits).map(toConsultation),
    left: rows.filter(({ fits }) => !fits).map((row) => ({ organizationId: row.organization_id, id: row.id })),
  }
}

const readStatement: Statement = {
  name: 'consultations_read',
  text: inBatch(
    `${wanted} cross join lateral (select * from consultation_requests c where ${isWanted} offset 0) c`,
    `${small}, ${agentPaused}`,
  ),
}

/** Those of `keys` that exist. */
export async function read(db: Queryable, keys: readonly Key[]): Promise<Batch> {
  return toBatch(await db.execute<BatchRow>(readStatement, [keysParameter(keys)]))
}

const outlinesStatement: Statement = {
  name: 'consultations_outlines',
  text: `select c.id, c.risk, c.agent_id as "agentId", encode(c.digest, 'hex') as digest from ${wanted} cross join lateral
    (select * from consultation_requests c where ${isWanted} offset 0) c`,
}

/** What answers to many requests are judged by together, of those of `keys` that exist. */
export async function readOutlines(db: Queryable, keys: readonly Key[]): Promise<readonly Outline[]> {
  return db.execute<Outline>(outlinesStatement, [keysParameter(keys)])
}

export type Outline = Pick<Consultation, 'id' | 'risk' | 'agentId' | 'digest'>

// Sorted in the query, so that two batches with the same rows lock them in the same order.
const locked = (lock: string): string =>
  `(select * from ${wanted} order by organization_id, id) wanted
    cross join lateral (select * from consultation_requests c where ${isWanted} ${lock}) c`

const lockStatement: Statement = { name: 'consultations_lock', text: inBatch(locked('for update'), small) }

/** Locks those of `keys` that exist until the transaction ends. */
export async function lock(tx: Queryable, keys: readonly Key[]): Promise<Batch> {
  return toBatch(await withAnswers(tx, await tx.execute<BatchRow>(lockStatement, [keysParameter(keys)])))
}

const answersStatement: Statement = {
  name: 'consultations_answers',
  text: `select c.id, ${selectedAnswer}
    from json_to_recordset($1) as c(organization_id uuid, id uuid, revision integer, responder_id uuid) ${closingAnswer}`,
}

/**
 * A statement that waited for a row's lock sees the row as it is then, and every other row as it was when the statement began.
 * So answers are read again once the rows are locked: another may have been given meanwhile, or given anew by the same person.
 */
async function withAnswers<R extends CoreRow>(tx: Queryable, rows: readonly R[]): Promise<readonly R[]> {
  const answered = rows.filter(({ responder_id }) => responder_id !== null)
  if (answered.length === 0) return rows
  const keys = answered.map(({ organization_id, id, revision, responder_id }) => ({
    organization_id,
    id,
    revision,
    responder_id,
  }))
  const found = await tx.execute<Pick<R, 'id' | 'answered_at'>>(answersStatement, [JSON.stringify(keys)])
  const answers = new Map(found.map((answer) => [answer.id, answer]))
  return rows.map((row) => ({ ...row, ...answers.get(row.id) }))
}

const lockCoreStatement: Statement = {
  name: 'consultations_lock_core',
  text: `select ${selectedCore} from ${locked('for update')} ${closing}`,
}

const readCalledBackStatement: Statement = {
  name: 'consultations_read_called_back',
  text: `select ${selectedCalledBack} from ${wanted} cross join lateral
    (select * from consultation_requests c where ${isWanted} offset 0) c ${itsCallback}`,
}

/** Those of `keys` that exist, with the progress of their callbacks. */
export async function readCalledBack(tx: Queryable, keys: readonly Key[]): Promise<readonly CalledBack[]> {
  return (await tx.execute<CalledBackRow>(readCalledBackStatement, [keysParameter(keys)])).map(toCalledBack)
}

const lockCallbacksStatement: Statement = {
  name: 'consultations_lock_callbacks',
  text: `select c.id, ${selectedProgress} from json_to_recordset($1) as c(organization_id uuid, id uuid, "callbackId" uuid)
    cross join lateral (select * from deliveries o where o.organization_id = c.organization_id and o.id = c."callbackId"
      for update) o`,
}

/** Locks the callbacks of requests that are locked already, and returns the requests with their progress as it is then. */
export async function lockCallbacks<C extends ConsultationCore>(
  tx: Queryable,
  rows: readonly C[],
): Promise<readonly C[]> {
  const owed = rows.filter(({ callbackId }) => callbackId !== null)
  if (owed.length === 0) return rows
  const keys = owed
    .map(({ organizationId, id, callbackId }) => ({ organization_id: organizationId, id, callbackId }))
    // In the order in which attempts are recorded (deliveries/store.ts).
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  const found = await tx.execute<ProgressRow & { id: string }>(lockCallbacksStatement, [JSON.stringify(keys)])
  const progress = new Map(found.map((row) => [row.id, row]))
  return rows.map((row) => {
    const now = progress.get(row.id)
    return now === undefined ? row : withProgress(row, now)
  })
}

/** As `lock`, without the contents, which may be large. */
export async function lockCore(tx: Queryable, keys: readonly Key[]): Promise<readonly ConsultationCore[]> {
  return (await withAnswers(tx, await tx.execute<CoreRow>(lockCoreStatement, [keysParameter(keys)]))).map(toCore)
}

const findDueStatement: Statement = {
  name: 'consultations_find_due',
  text: `select c.organization_id, c.id from consultation_requests c where c.next_action_at <= $1
    order by c.next_action_at limit $2`,
}

/** Requests whose time is up, across organizations, for the sweeper. */
export async function findDue(db: Queryable, now: Date, limit: number): Promise<readonly Key[]> {
  const rows = await db.execute<{ organization_id: string; id: string }>(findDueStatement, [now, limit])
  return rows.map((row) => ({ organizationId: row.organization_id, id: row.id }))
}

const lockFreeStatement: Statement = {
  name: 'consultations_lock_free',
  text: inBatch(locked('for update skip locked'), `${small}, ${agentPaused}`),
}

/** As `lock`, but skips what another transaction holds: another sweeper's, or an act's. */
export async function lockFree(tx: Queryable, keys: readonly Key[]): Promise<Batch> {
  return toBatch(await withAnswers(tx, await tx.execute<BatchRow>(lockFreeStatement, [keysParameter(keys)])))
}

// One row per slot and backend: the writers of one process use several backends, and none waits for another's total.
const slot = 'pg_backend_pid() % 8'
const addToTotals = `on conflict (organization_id, agent_id, state, slot)
  do update set total = consultation_totals.total + excluded.total`

// Whether agents may ask is read from their rows under the lock that the foreign key takes anyway: it reads the newest commit,
// and pausing an agent does not wait for it. One agent that may not ask fails the whole batch, which is then tried one by one.
const asked = columnsIn('fixed', 'changing', 'certified', 'asked', 'large')
const inserted = [...asked, 'idempotency_key', 'idempotency_hash'].join(', ')
const insertStatement: Statement = {
  name: 'consultations_insert',
  text: `
    with asking as materialized (
      select status = 'active' and organization_status = 'active' as may from agents
      where organization_id = $2 and id = any($3::uuid[]) order by id for key share
    ), inserted as (
      insert into consultation_requests (${inserted})
      select ${inserted} from json_populate_recordset(null::consultation_requests, $1)
      where (select case when bool_and(may) then true else hitl_refuse_agent() end from asking)
      -- Two batches with the same Idempotency-Keys wait for each other in a fixed order.
      order by organization_id, agent_id, idempotency_key, id
      on conflict (organization_id, agent_id, idempotency_key) where idempotency_key is not null do nothing
      returning organization_id, agent_id, id, state
    ), tallied as (
      insert into consultation_totals
      select organization_id, agent_id, state, ${slot}, count(*) from inserted group by 1, 2, 3 order by 1, 2, 3
      ${addToTotals}
    )
    select id from inserted`,
}

/** The error that PostgreSQL raises when an agent may not ask: see 0003_agents.sql. */
export const agentRefused = 'ZA001'

export interface NewConsultation {
  readonly consultation: Consultation
  readonly idempotency: { readonly key: string; readonly hash: Buffer } | null
}

/** Returns the ids that were inserted; for a missing one, an earlier request has the same Idempotency-Key. For one organization. */
export async function insert(tx: Queryable, added: readonly NewConsultation[]): Promise<ReadonlySet<string>> {
  const agentIds = new Set(added.map(({ consultation }) => consultation.agentId))
  const rows = await tx.execute<{ id: string }>(insertStatement, [
    `[${added.map(insertParameter).join(',')}]`,
    added[0]?.consultation.organizationId,
    [...agentIds],
  ])
  return new Set(rows.map((row) => row.id))
}

const writeAsked = writerOf(asked)

function insertParameter({ consultation, idempotency }: NewConsultation): string {
  const more = idempotency && { idempotency_key: idempotency.key, idempotency_hash: hex(idempotency.hash) }
  return writeAsked(consultation, more ?? {})
}

// The reply to a repeated creation has no answer, and what was asked first. Of a revised request that is read apart
// (revision-store.ts): a batch may be revised to 500 times a megabyte.
const firstLarge = columnsIn('large')
  .map((name) => `case when c.revision = 1 then c.${name} end as ${name}`)
  .join(', ')

const byIdempotencyStatement: Statement = {
  name: 'consultations_by_idempotency_key',
  text: `select ${withoutLarge}, ${firstLarge}, c.idempotency_hash from consultation_requests c ${closing}
    where c.organization_id = $1 and c.agent_id = $2 and c.idempotency_key = $3`,
}

export async function byIdempotencyKey(
  db: Queryable,
  organizationId: string,
  agentId: string,
  idempotencyKey: string,
): Promise<Earlier<Consultation> | null> {
  const values = [organizationId, agentId, idempotencyKey]
  const [row] = await db.execute<Row & { idempotency_hash: Buffer }>(byIdempotencyStatement, values)
  return row === undefined ? null : { made: toConsultation(row), hash: row.idempotency_hash }
}

const byIdempotencyKeysStatement: Statement = {
  name: 'consultations_by_idempotency_keys',
  text: `select ${withoutLarge}, ${firstLarge}, c.idempotency_hash
    from (select distinct key from unnest($3::text[]) as given(key)) given
    cross join lateral (select * from consultation_requests c where c.organization_id = $1 and c.agent_id = $2
      and c.idempotency_key = given.key offset 0) c ${closing}
    order by c.id`,
}

/** In the order of their creation. */
export async function byIdempotencyKeys(
  db: Queryable,
  organizationId: string,
  agentId: string,
  idempotencyKeys: readonly string[],
): Promise<readonly Earlier<Consultation>[]> {
  const values = [organizationId, agentId, idempotencyKeys]
  const rows = await db.execute<Row & { idempotency_hash: Buffer }>(byIdempotencyKeysStatement, values)
  return rows.map((row) => ({ made: toConsultation(row), hash: row.idempotency_hash }))
}

const saved = columnsIn('changing')
/** All but the key and `voided_at`. */
export const answerTexts = [
  'decision',
  'comment',
  'answered_at',
  'choices',
  'data',
  'args',
  'args_patch',
  'attachments',
  'responder_name',
  'erased_at',
] as const

const saveStatement: Statement = {
  name: 'consultations_save',
  text: `
    with saved as (
      update consultation_requests c set ${saved.map((name) => `${name} = after.${name}`).join(', ')},
        certificate = case when after.certificate_expires_at is null then null
          else coalesce(after.certificate, c.certificate) end
      from json_populate_recordset(null::consultation_requests, $1) as after
      -- By its place: a locked row does not move.
      cross join lateral (
        select c.ctid from consultation_requests c where c.organization_id = after.organization_id and c.id = after.id
        offset 0) locked
      where c.ctid = locked.ctid
    ), answered as (
      -- A person who has taken an answer back may give another one.
      insert into consultation_answers as a
      select * from json_populate_recordset(null::consultation_answers, $3)
      on conflict (organization_id, request_id, revision, responder_id) do update
        -- One that becomes void keeps its texts as they are stored, which may have been erased since they were read. Unless it was
        -- given and became void in one batch: then those of the one before it are stored.
        set voided_at = excluded.voided_at, ${answerTexts
          .map(
            (name) =>
              `${name} = case when excluded.voided_at is null or a.answered_at <> excluded.answered_at then excluded.${name} else a.${name} end`,
          )
          .join(', ')}
    )
    insert into consultation_totals
    select organization_id, agent_id, state, ${slot}, total
    from json_to_recordset($2) as moved(organization_id uuid, agent_id uuid, state text, total bigint)
    order by 1, 2, 3
    ${addToTotals}`,
}

const writeSaved = writerOf([...saved, 'organization_id', 'id'])

/**
 * Saves what acts changed on rows that this transaction has locked, and the answers they were given. What was asked stays as
 * it is (a revision replaces it apart, revision-store.ts). Callers that have not read the certificate leave it unchanged.
 */
export async function save(tx: Queryable, changes: readonly Change<ConsultationCore>[]): Promise<void> {
  const rows = changes.map(({ before, after }) => writeSaved(after, { certificate: newCertificate(before, after) }))
  const answers = changes.flatMap(({ after, answers = [] }) =>
    lastOfEach(answers).map((answer) => answerRow(after, answer)),
  )
  const totals = JSON.stringify(movedTotals(changes))
  const over = changes.filter(({ before, after }) => before.state !== after.state && after.state === 'completed')
  await Promise.all([
    tx.execute(saveStatement, [`[${rows.join(',')}]`, totals, `[${answers.join(',')}]`]),
    over.length === 0 ? [] : tx.execute(hideCallbacksStatement, [over.map(({ after }) => after.callbackId)]),
  ])
}

/** Only of the caller's organization. Keeps them out of the index by which lists look for states that they show. */
const hideCallbacksStatement: Statement = {
  name: 'consultations_hide_callbacks',
  text: `update deliveries set shown = false
    where organization_id = hitl_organization() and id = any($1::uuid[])`,
}

/** The last row of each person and revision: acts that were committed together may have written several. */
function lastOfEach(answers: readonly GivenAnswer[]): readonly GivenAnswer[] {
  return [...new Map(answers.map((answer) => [`${answer.revision} ${answer.responderId}`, answer])).values()]
}

function answerRow({ organizationId, id }: Key, { revision, responderId, ...answer }: GivenAnswer): string {
  const row = JSON.stringify({
    organization_id: organizationId,
    request_id: id,
    revision,
    responder_id: responderId,
    decision: answer.decision,
    comment: answer.comment,
    answered_at: answer.respondedAt,
    voided_at: answer.voidedAt,
    choices: answer.choices,
    responder_name: answer.responderName,
  })
  const { data, args, argsPatch, attachments } = answer
  return `${row.slice(0, -1)},"data":${data},"args":${args},"args_patch":${argsPatch},"attachments":${attachments}}`
}

const moveTotalsStatement: Statement = {
  name: 'consultations_move_totals',
  text: `insert into consultation_totals
    select organization_id, agent_id, state, ${slot}, total
    from json_to_recordset($1) as moved(organization_id uuid, agent_id uuid, state text, total bigint)
    order by 1, 2, 3
    ${addToTotals}`,
}

/** For changes that are saved elsewhere. */
export async function moveTotals(tx: Queryable, changes: readonly Change<CalledBack>[]): Promise<void> {
  const moved = movedTotals(changes)
  if (moved.length > 0) await tx.execute(moveTotalsStatement, [JSON.stringify(moved)])
}

type MaybeCertified = ConsultationCore & { readonly certificate?: string | null }

function newCertificate(before: MaybeCertified, after: MaybeCertified): string | null {
  return after.certificate === before.certificate ? null : (after.certificate ?? null)
}

function movedTotals(changes: readonly Change<CalledBack>[]) {
  const totals = new Map<string, { organization_id: string; agent_id: string; state: State; total: number }>()
  const add = ({ organizationId, agentId }: CalledBack, state: State, by: number): void => {
    const key = `${organizationId}/${agentId}/${state}`
    const entry = totals.get(key) ?? { organization_id: organizationId, agent_id: agentId, state, total: 0 }
    totals.set(key, { ...entry, total: entry.total + by })
  }
  for (const { before, after } of changes) {
    if (before.state === after.state) continue
    add(before, before.state, -1)
    add(before, after.state, 1)
  }
  return [...totals.values()].filter((entry) => entry.total !== 0)
}

const saveAttachmentsStatement: Statement = {
  name: 'consultations_save_attachments',
  text: `update consultation_requests set attachments = $3, digest = $4, updated_at = $5
    where organization_id = $1 and id = $2`,
}

/** Saves the files of a locked row, with the digest that they change. */
export async function saveAttachments(
  tx: Queryable,
  { organizationId, id, attachments, digest, updatedAt }: Consultation,
): Promise<void> {
  await tx.execute(saveAttachmentsStatement, [organizationId, id, attachments, Buffer.from(digest, 'hex'), updatedAt])
}

/** What a person wrote, and their name: where it was kept, it is empty from now on. */
const erasedTexts = `comment = null, choices = null, data = null, args = null, args_patch = null, attachments = null,
  responder_name = left(responder_name, 0)`

const eraseStatement: Statement = {
  name: 'consultations_erase',
  text: `
    with answers as (
      update consultation_answers set ${erasedTexts}, erased_at = $4
      where organization_id = $1 and request_id = $2
    )
    update consultation_requests set title = $3, description = null, context = '{}', metadata = null,
      action = null, answer_asked = null, presentation = null, justification = null, tags = '{}', run_id = null, response_bytes = 0,
      attachments = null, callback_url = null, callback_secret = null, outcome_detail = null, outcome_data = null,
      erased_at = $4, updated_at = greatest($4, $5::timestamptz + interval '1 ms')
    where organization_id = $1 and id = $2`,
}

/** Empties everything that people and agents wrote in a locked row and its answers. */
export async function erase(tx: Queryable, before: ConsultationCore, title: string, now: Date): Promise<void> {
  await tx.execute(eraseStatement, [before.organizationId, before.id, title, now, before.updatedAt])
}

const eraseCommentsStatement: Statement = {
  name: 'consultations_erase_comments',
  text: `update consultation_answers a set ${erasedTexts}, erased_at = $4
    from unnest($2::uuid[]) as given(id)
    cross join lateral (select ctid from consultation_answers a where a.organization_id = $1 and a.request_id = given.id
      and a.responder_id = $3 and (a.comment is not null or a.choices is not null or a.data is not null or a.args is not null
        or a.attachments is not null or a.responder_name <> '')
      offset 0) place
    where a.ctid = place.ctid`,
}

/** Those that their answers have closed and that say how large these are, in the order in which acts lock them. */
const lockAnsweredStatement: Statement = {
  name: 'consultations_lock_answered',
  text: `select c.id from (select distinct id from unnest($2::uuid[]) as given(id) order by id) given
    cross join lateral (select c.id from consultation_requests c
      where c.organization_id = $1 and c.id = given.id and c.responder_id = $3 and c.response_bytes > 0 for update) c`,
}

const forgetBytesStatement: Statement = {
  name: 'consultations_forget_response_bytes',
  text: `update consultation_requests c set response_bytes = 0
    from unnest($2::uuid[]) as given(id)
    cross join lateral (select c.ctid from consultation_requests c where c.organization_id = $1 and c.id = given.id
      offset 0) place
    where c.ctid = place.ctid`,
}

/** Empties what this person wrote when they answered these requests, and their name there. */
export async function eraseComments(
  tx: Queryable,
  organizationId: string,
  ids: readonly string[],
  responderId: string,
  now: Date,
): Promise<void> {
  const closed = await tx.execute<{ id: string }>(lockAnsweredStatement, [organizationId, ids, responderId])
  if (closed.length > 0) await tx.execute(forgetBytesStatement, [organizationId, closed.map(({ id }) => id)])
  await tx.execute(eraseCommentsStatement, [organizationId, ids, responderId, now])
}
