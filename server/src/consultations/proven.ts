import { factBy, system } from '../facts/fact.ts'
import type { Permit } from '../identity/factors/step-ups/service.ts'
import { type Agent, actorOf, byCaller, type Caller, type Person } from '../identity/principal.ts'
import { type BoundedMap, createBoundedMap } from '../platform/bounded-map.ts'
import { inTransaction } from '../platform/database/db.ts'
import type { Idempotency } from '../platform/idempotency.ts'
import type { ParsedJson } from '../platform/json.ts'
import { Problem } from '../platform/problem.ts'
import { type ActContext, act, respond as answer } from './acts.ts'
import { certificateContradicts, notDecided, requireProven } from './certificate.ts'
import {
  type Consultation,
  isHeld,
  otherQuestionShown,
  questionChanged,
  requireAsAsked,
  revisionChanged,
} from './consultation.ts'
import { parseAnswer } from './new-answer.ts'
import { confirmationRequired } from './questions/tiers.ts'
import { type ReadContext, read } from './reading.ts'
import { certificateRevoked, digestDiffers, notApproved, redeem as redeemed, supersededRevision } from './redemption.ts'
import { revisionWith } from './revision-store.ts'

/**
 * What people decide on, and uses of a decision. The row alone is not believed: the question has to have its digest, and the
 * decision its certificate.
 */

export interface ProofContext extends ActContext, ReadContext {
  /** What was reported already, so that a caller that repeats its call fills neither the log nor the audit. */
  readonly reported: BoundedMap<string, true>
}

export function createProving(acting: ActContext, reading: ReadContext): ProofContext {
  return { ...acting, ...reading, reported: createBoundedMap(1_000) }
}

/** The request that `id` names. Throws 409 unless it is as it was asked, and its decision as it was certified. */
export async function show(context: ProofContext, by: Caller, id: string): Promise<Consultation> {
  return reporting(context, by, id, async () => {
    const { found } = await findProven(context, by, id)
    requireAsAsked(found)
    return found
  })
}

/** `body`: not checked yet. `stepUp`: what the call brings of a step-up, to be used up where the request asks for one. */
export async function respond(
  context: ProofContext,
  by: Caller<Person>,
  id: string,
  body: ParsedJson,
  idempotency: Idempotency | null = null,
  stepUp: (() => Promise<Permit>) | null = null,
): Promise<Consultation> {
  const given = parseAnswer(body)
  return reporting(
    context,
    by,
    id,
    async () => {
      try {
        return await answer(context, by, id, given, idempotency)
      } catch (error) {
        if (stepUp === null || !(error instanceof Problem) || error.code !== confirmationRequired.code) throw error
        const permit = await stepUp()
        const { organizationId } = by.principal
        // In a transaction of its own: the answer shares one with other people's. If it is refused after all, another is earned.
        await inTransaction(context.db, { organizationId }, async (tx) => void (await permit.use(tx)))
        return answer(context, by, id, given, idempotency, true)
      }
    },
    given.digest,
  )
}

/** The decided request that `id` names. Throws 409 unless its certificate proves it. */
export async function decided(context: ProofContext, by: Caller, id: string): Promise<Consultation> {
  return reporting(context, by, id, async () => {
    const { found, opened } = await findProven(context, by, id)
    if (opened === null || isHeld(found)) throw notDecided(found.state)
    requireAsAsked(found)
    if (opened.isRevoked) throw certificateRevoked(found.state)
    return found
  })
}

export async function redeem(
  context: ProofContext,
  by: Caller<Agent>,
  id: string,
  digest: string | null,
  idempotency: Idempotency | null = null,
): Promise<Consultation> {
  return reporting(context, by, id, async () => {
    const { found, opened } = await findProven(context, by, id)
    const actor = actorOf(by.principal)
    try {
      if (opened === null || isHeld(found)) throw notApproved(found.state, null)
      const use = (before: Consultation) => redeemed(before, actor, digest, context.clock.now(), opened, idempotency)
      return await act(context, by, id, use, { comparesDigest: true })
    } catch (error) {
      throw await asSuperseded(context, found, digest, error)
    }
  })
}

/** What to throw for a refused use: that an earlier revision was meant, where that is the reason. */
async function asSuperseded({ db }: ProofContext, found: Consultation, digest: string | null, error: unknown) {
  if (digest === null || !(error instanceof Problem) || ![digestDiffers.code, notApproved.code].includes(error.code)) {
    return error
  }
  const { organizationId, revision } = found
  const earlier = await revisionWith(db.within({ organizationId }), found, digest)
  return earlier === null || digest === found.digest ? error : supersededRevision(earlier, revision)
}

/** Without a lock: a certificate never changes. `opened` is null while there is no decision. */
async function findProven(context: ProofContext, by: Caller, id: string) {
  const found = await read(context, by.principal, id)
  const opened = found.certificate === null ? null : await context.openCertificate(found.certificate)
  requireProven(found, opened)
  return { found, opened }
}

const contradictions = new Set([certificateContradicts.code, questionChanged.code, otherQuestionShown.code])

/**
 * Records what the act finds changed outside the service. `shown`: the digest of what was shown to the person; that of an earlier
 * revision is no sign of a change, but of an answer that came after the agent had asked something else: 412.
 */
export async function reporting<T>(
  context: ProofContext,
  by: Caller,
  id: string,
  use: () => Promise<T>,
  shown: string | null | undefined = null,
): Promise<T> {
  try {
    return await use()
  } catch (error) {
    if (shown != null && error instanceof Problem && error.code === otherQuestionShown.code) {
      const found = await read(context, by.principal, id)
      const earlier = await revisionWith(context.db.within({ organizationId: found.organizationId }), found, shown)
      if (earlier !== null) throw revisionChanged(found.revision, earlier)
    }
    if (error instanceof Problem && contradictions.has(error.code)) {
      await report(context, by, id.toLowerCase(), error.extra.differs as readonly string[])
    }
    throw error
  }
}

async function report(context: ProofContext, by: Caller, id: string, differs: readonly string[]): Promise<void> {
  const { db, clock, log, events, reported } = context
  const key = `${id} ${differs.join()}`
  if (reported.get(key) === true) return
  const { organizationId } = by.principal
  log.error(
    { consultation_id: id, organization_id: organizationId, differs },
    'what is stored of a request contradicts itself',
  )
  // The service has found it; whose call it was does not matter.
  const origin = { ...byCaller(by), actor: system }
  const fact = factBy(origin, 'request.contradicted', ['request', id], { after: { differs }, occurredAt: clock.now() })
  await inTransaction(db, { organizationId }, async (tx) => tx.last(events.append(tx, [fact])))
  reported.set(key, true)
}
