import { type Agent, type Caller, payerOf } from '../identity/principal.ts'
import { createBatcher, type Outcome } from '../platform/batch.ts'
import { inTransaction } from '../platform/database/db.ts'
import { sqlState } from '../platform/database/errors.ts'
import { type CreatedOnce, createOnce, type Idempotency } from '../platform/idempotency.ts'
import { newId } from '../platform/ids.ts'
import type { ParsedJson } from '../platform/json.ts'
import type { Place } from '../platform/secrets/sealed-text.ts'
import { type Consultation, initialReply, open, type RequestFact } from './consultation.ts'
import { type Context, writes } from './context.ts'
import { digestAhead } from './digest.ts'
import { factOf, requestChange } from './facts.ts'
import { parseNewRequest } from './new-request.ts'
import { scopeOf } from './row-keys.ts'
import * as store from './store.ts'

interface Creation extends store.NewConsultation {
  readonly facts: readonly RequestFact[]
  /** The caller, how they signed in, and from where. */
  readonly from: Caller
}

export interface AskContext extends Context {
  /** False when an earlier request has the same Idempotency-Key. */
  readonly insert: (creation: Creation) => Promise<boolean>
}

export function groupCreations(context: Context): AskContext['insert'] {
  return createBatcher({
    ...writes,
    groupOf: ({ consultation }) => consultation.organizationId,
    bytesOf: ({ consultation: { context, metadata } }) => context.length + (metadata?.length ?? 0),
    perform: (creations) => insertTogether(context, creations),
  })
}

function insertTogether({ db, events }: Context, creations: readonly Creation[]): Promise<readonly Outcome<boolean>[]> {
  return inTransaction(db, scopeOf(creations[0]?.consultation), async (tx) => {
    const append = (added: readonly Creation[]): Promise<void> =>
      events.append(
        tx,
        added.flatMap(({ consultation, facts, from }) =>
          facts.map((fact) => factOf(consultation, fact, from, consultation.createdAt)),
        ),
        added.map(({ consultation }) => requestChange({ before: null, after: consultation })),
      )
    const inserting = store.insert(tx, creations)
    if (creations.every((creation) => creation.idempotency === null)) {
      // None can be a repetition, so both statements are sent together.
      tx.last(Promise.all([inserting, append(creations)]))
      return creations.map(() => ({ value: true }))
    }
    const inserted = await inserting
    const isNew = (creation: Creation) => inserted.has(creation.consultation.id)
    tx.last(append(creations.filter(isNew)))
    return creations.map((creation) => ({ value: isNew(creation) }))
  })
}

/** The place a callback secret is sealed for: it cannot be opened for any other. */
export function secretPlace(organizationId: string, consultationId: string): Place {
  return { organizationId, table: 'consultation_requests', column: 'callback_secret', row: consultationId }
}

/** Returns the new request, or, for a known Idempotency-Key, the earlier one as it was when created. */
export async function create(
  context: AskContext,
  by: Caller<Agent>,
  body: ParsedJson,
  idempotency: Idempotency | null,
): Promise<CreatedOnce<Consultation>> {
  const { db, clock, sealer, refusalOf, openWrites } = context
  const { callbackSecret: secret, ...asked } = parseNewRequest(body, context)
  const { organizationId, agentId } = by.principal
  const id = newId()
  await digestAhead(asked, payerOf(by.principal))
  const callbackSecret = secret === null ? null : await sealer.seal(secret, secretPlace(organizationId, id))
  const insertNew = async (): Promise<Consultation | null> => {
    const { after: consultation, facts } = open({ ...asked, callbackSecret }, by.principal, id, clock.now())
    try {
      return (await context.insert({ consultation, facts, idempotency, from: by })) ? consultation : null
    } catch (error) {
      // Paused since its key was looked up: PostgreSQL reads the newest commit.
      throw sqlState(error) === store.agentRefused ? await refusalOf(by) : error
    }
  }
  const insert = () => openWrites.during(insertNew)
  const find = (key: string) => store.byIdempotencyKey(db.within({ organizationId }), organizationId, agentId, key)
  return createOnce(idempotency, { insert, find, initialReply })
}
