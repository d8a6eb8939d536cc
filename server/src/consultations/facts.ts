import { type Fact, factBy } from '../facts/fact.ts'
import { byCaller, type Caller } from '../identity/principal.ts'
import type { CalledBack, Change, Consultation, RequestFact } from './consultation.ts'

/** One act on one request, for the readers of events. */
export interface RequestChange {
  readonly kind: 'request'
  readonly before: Consultation | null
  readonly after: Consultation
}

export function requestChange({ before, after }: Omit<RequestChange, 'kind'>): RequestChange {
  return { kind: 'request', before, after }
}

/** The facts of acts without a call. */
export function factsOf(changes: readonly Change<CalledBack>[], now: Date): readonly Fact[] {
  return changes.flatMap(({ after, facts }) => facts.map((fact) => factOf(after, fact, null, now)))
}

export function factOf(subject: CalledBack, fact: RequestFact, from: Caller | null, occurredAt: Date): Fact {
  const { kind, actor, ...change } = fact
  const call = from === null ? { organizationId: subject.organizationId, httpRequestId: null } : byCaller(from)
  // The rule knows who acts; only the call knows how they signed in, or with which key.
  const origin = from?.principal.kind === actor.kind ? byCaller(from) : { ...call, actor }
  return factBy(origin, kind, ['request', subject.id], { ...change, digest: subject.digest, occurredAt })
}
