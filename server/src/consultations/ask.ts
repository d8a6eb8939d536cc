import { type Agent, type Caller, payerOf } from '../identity/principal.ts'
import { createBatcher, type Outcome } from '../platform/batch.ts'
import { inTransaction } from '../platform/database/db.ts'
import { sqlState } from '../platform/database/errors.ts'
import { type CreatedOnce, createOnce, type Idempotency, idempotencyMismatch } from '../platform/idempotency.ts'
import { newId } from '../platform/ids.ts'
import type { ParsedJson } from '../platform/json.ts'
import type { Place } from '../platform/secrets/sealed-text.ts'
import { type Consultation, initialReply, open, type Proposal } from './consultation.ts'
import { type Context, writes } from './context.ts'
import { digestAhead } from './digest.ts'
import { factOf, requestChange } from './facts.ts'
import { type NewRequest, parseNewRequest } from './new-request.ts'
import { asFirstAsked } from './revision-store.ts'
import { scopeOf } from './row-keys.ts'
import * as store from './store.ts'

interface Creation {
  readonly id: string
  readonly proposal: Proposal
  readonly idempotency: Idempotency | null
  /** The caller, how they signed in, and from where. */
  readonly from: Caller<Agent>
}

/** What comes with a call beside its body. */
export interface Asking {
  readonly idempotency: Idempotency | null
  readonly traceparent: string | null
}

export interface AskContext extends Context {
  /** Null when an earlier request has the same Idempotency-Key. */
  readonly insert: (creation: Creation) => Promise<Consultation | null>
}

export function groupCreations(context: Context): AskContext['insert'] {
  return createBatcher({
    name: 'create',
    ...writes,
    groupOf: ({ from }) => from.principal.organizationId,
    bytesOf: ({ proposal: { context, metadata, action, answerAsked, presentation } }) =>
      [context, metadata, action, answerAsked, presentation].reduce((sum, text) => sum + (text?.length ?? 0), 0),
    perform: (creations) => context.openWrites.during(() => insertTogether(context, creations)),
  })
}

/** `isWhole`: all or none; an earlier call with the same Idempotency-Key that explains only some of them had another body. */
export function insertTogether(
  { db, clock, events }: Context,
  creations: readonly Creation[],
  { isWhole = false } = {},
): Promise<readonly Outcome<Consultation | null>[]> {
  return inTransaction(db, scopeOf(creations[0]?.from.principal), async (tx) => {
    // Not before the transaction begins: see open-writes.ts.
    const now = clock.now()
    const opened = creations.map(({ id, proposal, idempotency, from }) => {
      const { after: consultation, facts } = open(proposal, from.principal, id, now)
      return { consultation, facts, idempotency, from }
    })
    const append = (added: typeof opened): Promise<void> =>
      events.append(
        tx,
        added.flatMap(({ consultation, facts, from }) => facts.map((fact) => factOf(consultation, fact, from, now))),
        added.map(({ consultation }) => requestChange({ before: null, after: consultation })),
      )
    const inserting = store.insert(tx, opened)
    if (opened.every(({ idempotency }) => idempotency === null)) {
      // None can be a repetition, so both statements are sent together.
      tx.last(Promise.all([inserting, append(opened)]))
      return opened.map(({ consultation }) => ({ value: consultation }))
    }
    const inserted = await inserting
    if (isWhole && inserted.size > 0 && inserted.size < opened.length) throw idempotencyMismatch()
    const isNew = ({ consultation }: { readonly consultation: Consultation }) => inserted.has(consultation.id)
    tx.last(append(opened.filter(isNew)))
    return opened.map((one) => ({ value: isNew(one) ? one.consultation : null }))
  })
}

/** The place a callback secret is sealed for: it cannot be opened for any other. */
export function secretPlace(organizationId: string, consultationId: string): Place {
  return { organizationId, table: 'consultation_requests', column: 'callback_secret', row: consultationId }
}

/** Checks a new request, and does what is to be done before its transaction. */
export async function prepare(
  context: AskContext,
  by: Caller<Agent>,
  body: ParsedJson,
  traceparent: string | null,
): Promise<Pick<Creation, 'id' | 'proposal'>> {
  const asked = parseNewRequest(body, context)
  const id = newId()
  await digestAhead(asked, payerOf(by.principal))
  return { id, proposal: { ...(await sealed(context, by, id, asked)), traceparent } }
}

/** What is asked, with its callback secret sealed for the request `id`. */
export async function sealed(
  { sealer }: Pick<Context, 'sealer'>,
  { principal: { organizationId } }: Caller<Agent>,
  id: string,
  { callbackSecret: secret, ...asked }: NewRequest,
): Promise<Omit<Proposal, 'traceparent'>> {
  const callbackSecret = secret === null ? null : await sealer.seal(secret, secretPlace(organizationId, id))
  return { ...asked, callbackSecret }
}

/** What to throw for a failed insert. */
export async function asRefused(
  { refusalOf }: Pick<Context, 'refusalOf'>,
  by: Caller<Agent>,
  error: unknown,
): Promise<unknown> {
  // Paused since its key was looked up: PostgreSQL reads the newest commit.
  return sqlState(error) === store.agentRefused ? await refusalOf(by) : error
}

/** Returns the new request, or, for a known Idempotency-Key, the earlier one as it was when created. */
export async function create(
  context: AskContext,
  by: Caller<Agent>,
  body: ParsedJson,
  { idempotency, traceparent }: Asking,
): Promise<CreatedOnce<Consultation>> {
  const { organizationId, agentId } = by.principal
  const prepared = await prepare(context, by, body, traceparent)
  const insert = () =>
    context.insert({ ...prepared, idempotency, from: by }).catch(async (error: unknown) => {
      throw await asRefused(context, by, error)
    })
  const db = context.db.within({ organizationId })
  const find = async (key: string) => {
    const earlier = await store.byIdempotencyKey(db, organizationId, agentId, key)
    const [made] = earlier === null ? [] : await asFirstAsked(db, [earlier.made])
    return earlier === null || made === undefined ? null : { ...earlier, made }
  }
  return createOnce(idempotency, { insert, find, initialReply })
}
