import type { Fact } from '../facts/fact.ts'
import { type Agent, actorOf, type Caller, type Person, payerOf } from '../identity/principal.ts'
import { createBatcher, type Outcome } from '../platform/batch.ts'
import { inTransaction } from '../platform/database/db.ts'
import type { Idempotency } from '../platform/idempotency.ts'
import { newId } from '../platform/ids.ts'
import type { ParsedJson } from '../platform/json.ts'
import { findFiles, type NamedFiles, saveWithFiles } from './answer-files.ts'
import * as callbacks from './callback-progress.ts'
import type { Change, Consultation } from './consultation.ts'
import * as rules from './consultation.ts'
import { type Context, writes } from './context.ts'
import { digestAhead, isDigested } from './digest.ts'
import { factOf, type RequestChange, requestChange } from './facts.ts'
import { undo as takeBack } from './hold.ts'
import { parseOutcome } from './new-outcome.ts'
import { reportOutcome } from './outcome.ts'
import type { FoundFile } from './questions/answer-files.ts'
import { checkAnswer } from './questions/checked-answer.ts'
import { keyFor, type ReadContext, read, visibleTo } from './reading.ts'
import { byKey, distinct, type Key, keyOf, scopeOf } from './row-keys.ts'
import * as store from './store.ts'

/** An act on one consultation: the rule to apply to the locked row. */
interface Act {
  readonly key: Key
  readonly decide: (before: Consultation | null, files: readonly FoundFile[]) => Change
  /** Whether it compares the digest of what was asked. */
  readonly comparesDigest: boolean
  /** Whether it decides on the progress of the callback. */
  readonly locksCallback?: boolean
  /** The files that the answer names. */
  readonly files?: NamedFiles | undefined
  /** The caller, how they signed in, and from where. */
  readonly from: Caller
}

/**
 * Nothing was done yet. `undigested`: its digest is to be computed first, which takes too long to hold locks and one of the few
 * commits under way; null: the row did not fit into the batch.
 */
interface Postponed {
  readonly undigested: Consultation | null
}

export interface ActContext extends Context {
  readonly perform: (act: Act) => Promise<Consultation | Postponed>
}

interface ActOptions extends Pick<Act, 'locksCallback' | 'files'> {
  readonly comparesDigest?: boolean
}

type Grounds = Pick<Context, 'db' | 'clock' | 'events' | 'openWrites' | 'answerFiles'>

export function groupActs(grounds: Grounds): ActContext['perform'] {
  return createBatcher({
    name: 'act',
    ...writes,
    groupOf: ({ key }) => key.organizationId,
    perform: (acts) => grounds.openWrites.during(() => performTogether(grounds, acts)),
  })
}

/** Lock, decide, save, append, commit: for all waiting acts, in one transaction. */
function performTogether(
  { db, clock, events, openWrites, answerFiles }: Grounds,
  acts: readonly Act[],
): Promise<readonly Outcome<Consultation | Postponed>[]> {
  return inTransaction(db, scopeOf(acts[0]?.key), async (tx) => {
    const { found: locked, left } = await store.lock(tx, distinct(acts.map((act) => act.key)))
    const found = acts.some((act) => act.locksCallback) ? await store.lockCallbacks(tx, locked) : locked
    const named = acts.flatMap(({ files }) => files ?? [])
    const filesOf = await findFiles(answerFiles, tx, acts[0]?.key.organizationId, named, true)
    const [current, unread] = [byKey(found), byKey(left)]
    const merged = new Map<string, Change>()
    const facts: Fact[] = []
    const changes: RequestChange[] = []
    const outcomes = acts.map(({ key, decide, comparesDigest, from, files }): Outcome<Consultation | Postponed> => {
      const name = keyOf(key)
      const before = current.get(name) ?? null
      if (unread.has(name)) return { value: { undigested: null } }
      if (comparesDigest && before !== null && !isDigested(before)) return { value: { undigested: before } }
      try {
        const change = callbacks.owing(decide(before, files === undefined ? [] : filesOf(files)), newId)
        if (change.after.isRepeated === true) return { value: change.after }
        // A later act of the batch sees the result of an earlier one, as if they were two commits.
        current.set(name, change.after)
        const earlier = merged.get(name)
        const answers = [...(earlier?.answers ?? []), ...(change.answers ?? [])]
        merged.set(name, { ...change, before: earlier?.before ?? change.before, answers })
        facts.push(...change.facts.map((fact) => factOf(change.after, fact, from, clock.now())))
        changes.push(requestChange(change))
        openWrites.changedAt(change.after.updatedAt)
        return { value: change.after }
      } catch (error) {
        return { error }
      }
    })
    if (changes.length > 0)
      tx.last(Promise.all([saveWithFiles(answerFiles, tx, [...merged.values()]), events.append(tx, facts, changes)]))
    return outcomes
  })
}

/** The act of `by` on the consultation `id`. What the caller may not see is 404, like what does not exist. */
export async function act(
  { perform }: ActContext,
  by: Caller,
  id: string,
  decide: (before: Consultation, files: readonly FoundFile[]) => Change,
  { comparesDigest = false, locksCallback = false, files }: ActOptions = {},
): Promise<Consultation> {
  const asked: Act = {
    key: keyFor(by.principal, id),
    from: by,
    comparesDigest,
    locksCallback,
    files,
    decide: (before, found) => decide(visibleTo(by.principal, before), found),
  }
  for (;;) {
    const outcome = await perform(asked)
    if (!('undigested' in outcome)) return outcome
    if (outcome.undigested !== null) await digestAhead(outcome.undigested, payerOf(by.principal))
  }
}

/** `hasStepUp`: they proved for this very call that it is them. */
export async function respond(
  context: ActContext & ReadContext,
  by: Caller<Person>,
  id: string,
  answer: rules.Answer,
  idempotency: Idempotency | null = null,
  hasStepUp = false,
): Promise<Consultation> {
  const { principal } = by
  const [certify, checked] = await Promise.all([context.certifier(principal), checkAhead(context, by, id, answer)])
  // A session of a person's own is the inbox, whatever program has it.
  const { userId, role, name = null } = principal
  const responder = { userId, role, name, surface: 'inbox', hasStepUp } as const
  const decide = (before: Consultation, files: readonly FoundFile[]) =>
    rules.respond(before, responder, { ...checked, files }, context.clock.now(), certify, idempotency)
  return act(context, by, id, decide, { comparesDigest: true, files: namedBy(principal, id, answer) })
}

function namedBy({ userId }: Person, id: string, { attachments }: rules.Answer): NamedFiles | undefined {
  return attachments?.length ? { requestId: id.toLowerCase(), userId, ids: attachments } : undefined
}

/** Values are checked, and their digests computed, before the row is locked: both may take long. */
async function checkAhead(
  context: Context & ReadContext,
  { principal }: Caller<Person>,
  id: string,
  answer: rules.Answer,
): Promise<rules.Answer> {
  if (answer.data == null && answer.args == null) return answer
  const found = await read(context, principal, id)
  if (found.state !== 'pending' || rules.isHeld(found)) return answer
  const named = namedBy(principal, id, answer)
  const { organizationId } = principal
  const db = context.db.within({ organizationId })
  const filesOf = await findFiles(context.answerFiles, db, organizationId, named === undefined ? [] : [named], false)
  const checked = checkAnswer(found, { ...answer, files: named === undefined ? [] : filesOf(named) })
  await digestAhead(
    { ...found, response: { data: answer.data ?? null, args: answer.args ?? null } },
    payerOf(principal),
  )
  return { ...answer, checked }
}

export function cancel(
  context: ActContext,
  by: Caller<Agent>,
  id: string,
  idempotency: Idempotency | null = null,
): Promise<Consultation> {
  return act(context, by, id, (before) => rules.cancel(before, actorOf(by.principal), context.clock.now(), idempotency))
}

export function undo(context: ActContext, by: Caller<Person>, id: string): Promise<Consultation> {
  return act(context, by, id, (before) => takeBack(before, by.principal, context.clock.now()))
}

/** `body`: not checked yet. */
export async function report(
  context: ActContext,
  by: Caller<Agent>,
  id: string,
  body: ParsedJson,
): Promise<Consultation> {
  const outcome = parseOutcome(body)
  const decide = (before: Consultation) => reportOutcome(before, actorOf(by.principal), outcome, context.clock.now())
  return act(context, by, id, decide, { locksCallback: true })
}

/** False when its callback is under way or not the one that is meant, or there is none. */
export async function redeliverIfSettled(
  context: ActContext,
  by: Caller,
  id: string,
  callbackId: string,
): Promise<boolean> {
  try {
    await redeliver(context, by, id, callbackId)
    return true
  } catch (error) {
    const { code } = error as { readonly code?: unknown }
    if (code === callbacks.nothingToRedeliver.code || code === rules.notFound.code) return false
    throw error
  }
}

export function redeliver(context: ActContext, by: Caller, id: string, callbackId?: string): Promise<Consultation> {
  const decide = (before: Consultation) =>
    callbacks.redeliver(before, actorOf(by.principal), context.clock.now(), callbackId)
  return act(context, by, id, decide, { locksCallback: true })
}
