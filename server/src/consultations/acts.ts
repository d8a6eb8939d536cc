import type { Fact } from '../facts/fact.ts'
import { type Agent, actorOf, type Caller, type Person } from '../identity/principal.ts'
import { createBatcher, type Outcome } from '../platform/batch.ts'
import { inTransaction } from '../platform/database/db.ts'
import type { Change, Consultation } from './consultation.ts'
import * as rules from './consultation.ts'
import { type Context, writes } from './context.ts'
import { digestAhead } from './digest.ts'
import { factOf, type RequestChange, requestChange } from './facts.ts'
import { parseAnswer } from './new-answer.ts'
import { keyFor, visibleTo } from './reading.ts'
import { byKey, distinct, type Key, keyOf, scopeOf } from './row-keys.ts'
import * as store from './store.ts'

/** An act on one consultation: the rule to apply to the locked row. */
interface Act {
  readonly key: Key
  readonly decide: (before: Consultation | null) => Change
  /** The caller, how they signed in, and from where. */
  readonly from: Caller
}

export interface ActContext extends Context {
  readonly perform: (act: Act) => Promise<Consultation>
}

type Grounds = Pick<Context, 'db' | 'clock' | 'events'>

export function groupActs(grounds: Grounds): ActContext['perform'] {
  return createBatcher({
    ...writes,
    groupOf: ({ key }) => key.organizationId,
    perform: (acts) => performTogether(grounds, acts),
  })
}

/** Lock, decide, save, append, commit: for all waiting acts, in one transaction. */
function performTogether(
  { db, clock, events }: Grounds,
  acts: readonly Act[],
): Promise<readonly Outcome<Consultation>[]> {
  return inTransaction(db, scopeOf(acts[0]?.key), async (tx) => {
    const current = byKey(await store.lock(tx, distinct(acts.map((act) => act.key))))
    for (const before of current.values()) await digestAhead(before, before.organizationId)
    const merged = new Map<string, Change>()
    const facts: Fact[] = []
    const changes: RequestChange[] = []
    const outcomes = acts.map(({ key, decide, from }): Outcome<Consultation> => {
      const name = keyOf(key)
      try {
        const change = decide(current.get(name) ?? null)
        // A later act of the batch sees the result of an earlier one, as if they were two commits.
        current.set(name, change.after)
        merged.set(name, { ...change, before: merged.get(name)?.before ?? change.before })
        facts.push(...change.facts.map((fact) => factOf(change.after, fact, from, clock.now())))
        changes.push(requestChange(change))
        return { value: change.after }
      } catch (error) {
        return { error }
      }
    })
    if (changes.length > 0)
      tx.last(Promise.all([store.save(tx, [...merged.values()]), events.append(tx, facts, changes)]))
    return outcomes
  })
}

/** The act of `by` on the consultation `id`. What the caller may not see is 404, like what does not exist. */
export async function act(
  { perform }: ActContext,
  by: Caller,
  id: string,
  decide: (before: Consultation) => Change,
): Promise<Consultation> {
  return perform({
    key: keyFor(by.principal, id),
    from: by,
    decide: (before) => decide(visibleTo(by.principal, before)),
  })
}

/** `answer`: the body, not checked yet. */
export async function respond(
  context: ActContext,
  by: Caller<Person>,
  id: string,
  answer: unknown,
): Promise<Consultation> {
  const checked = parseAnswer(answer)
  const certify = await context.certifier(by.principal)
  return act(context, by, id, (before) => rules.respond(before, by.principal, checked, context.clock.now(), certify))
}

export function cancel(context: ActContext, by: Caller<Agent>, id: string): Promise<Consultation> {
  return act(context, by, id, (before) => rules.cancel(before, actorOf(by.principal), context.clock.now()))
}

export function redeliver(context: ActContext, by: Caller, id: string): Promise<Consultation> {
  return act(context, by, id, (before) => rules.redeliver(before, actorOf(by.principal), context.clock.now()))
}
