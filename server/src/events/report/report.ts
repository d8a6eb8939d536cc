import type { EventKind } from '../../facts/kinds.ts'
import { assuranceBy, type SignInAssurance } from '../../identity/assurance.ts'

type Members = Readonly<Record<string, unknown>>

/** What the report takes from one event: all of it from the record, which is sealed, and the reason that was given. */
export interface ToldEvent {
  readonly id: string
  readonly kind: EventKind
  readonly at: string
  readonly subject: { readonly kind: string; readonly id: string }
  readonly actor: {
    readonly kind: string
    readonly id: string | null
    readonly signed_in_with: readonly string[] | null
  }
  readonly before: Members | null
  /** A list of ids in it is their number. */
  readonly after: Members | null
  readonly reason: string | null
  /** Of a decision, as far as the audit still has it: when what was decided was asked, and who stands behind the agent. */
  readonly asked: Asked | null
}

export interface Asked {
  readonly at: string
  readonly agent_id: string | null
  /** Who made the key that asked, if a person did. */
  readonly key_maker_id: string | null
  /** Who was responsible for the agent at the time. */
  readonly owner_id: string | null
}

export interface DecisionLine {
  readonly request_id: string
  readonly decided_at: string
  readonly decided_by: string | null
  readonly role: string | null
  readonly decision: string
  readonly assurance: SignInAssurance
  readonly agent_id: string | null
  /** From what was asked, or asked anew, to the decision; null when the audit no longer has it. */
  readonly seconds: number | null
}

export interface ExceptionLine {
  readonly kind: string
  readonly event_id: string
  readonly at: string
  readonly actor_kind: string
  readonly actor_id: string | null
  readonly subject_kind: string
  readonly subject_id: string
  readonly before: Members | null
  readonly after: Members | null
  readonly reason: string | null
}

/** Acts that the report lists one by one; the other kinds that it reads are in `countedKinds`. */
export const exceptionKinds = [
  'request.undone',
  'request.contradicted',
  'access.refused',
  'step_up.refused',
  'api_key.refused',
  'api_key.leaked',
  'session.reuse_detected',
  'factors.removed',
  'signing_key.revoked',
  'agent.paused',
  'agent.stopped',
  'agent.resumed',
  'organization.paused',
  'organization.stopped',
  'organization.resumed',
  'audit.policy_changed',
  'audit.erased',
  'audit.erasure_refused',
  'audit.purged',
  'audit.restored',
] as const satisfies readonly EventKind[]

const countedKinds = [
  'request.created',
  'request.revised',
  'request.responded',
  'request.timed_out',
  'request.cancelled',
  'request.redeemed',
  'request.completed',
] as const satisfies readonly EventKind[]

/** Files that are added or removed can make a decision that is held back void, as a revision and a withdrawal can. */
export const readKinds: readonly EventKind[] = [
  ...exceptionKinds,
  ...countedKinds,
  'attachment.added',
  'attachment.removed',
]

/** Somebody approved what an agent of theirs asked, or what was asked with a key that they made. */
export const selfApproval = 'self_approval'
/** A decision that was held back never reached the agent, because what was asked changed or was withdrawn. */
export const decisionVoided = 'decision_voided'

/** Decisions that are listed; all are in the counts. */
export const listedDecisions = 2_000
/** Of each kind, so that a flood of one, such as refused calls, cannot hide the others. */
export const listedOfAKind = 200

export interface Times {
  readonly median: number | null
  readonly p90: number | null
  readonly longest: number | null
}

export interface PersonLine {
  readonly id: string
  readonly decisions: number
  readonly approvals: number
  readonly seconds: Times
}

export interface Totals {
  readonly requests: Readonly<Record<string, number>>
  readonly decisions: {
    readonly total: number
    readonly by_decision: Readonly<Record<string, number>>
    readonly by_assurance: Readonly<Record<string, number>>
    readonly seconds: Times
    /** Decisions on what the audit no longer has the asking of. */
    readonly of_unknown_age: number
  }
  readonly people: readonly PersonLine[]
  readonly listed: readonly DecisionLine[]
  readonly exceptions: {
    readonly counts: Readonly<Record<string, number>>
    readonly listed: readonly ExceptionLine[]
    readonly left_out: number
  }
}

/** Reads the events of a period one by one, oldest first. */
export function createTally() {
  const kinds = new Map<string, number>()
  const decisions = new Map<string, number>()
  const assurances = new Map<string, number>()
  const exceptions = new Map<string, number>()
  const ages: number[] = []
  const people = new Map<string, { decisions: number; approvals: number; readonly ages: number[] }>()
  const listed: DecisionLine[] = []
  const lines: ExceptionLine[] = []
  let total = 0
  let left = 0

  const note = (kind: string, event: ToldEvent): void => {
    if (add(exceptions, kind) <= listedOfAKind) lines.push(lineOf(kind, event))
    else left += 1
  }

  const decided = (event: ToldEvent): void => {
    const { asked, actor } = event
    const line = decisionOf(event)
    total += 1
    add(decisions, line.decision)
    add(assurances, line.assurance)
    if (line.seconds !== null) ages.push(line.seconds)
    if (listed.length < listedDecisions) listed.push(line)
    if (actor.id === null) return
    const person = people.get(actor.id) ?? { decisions: 0, approvals: 0, ages: [] }
    people.set(actor.id, person)
    person.decisions += 1
    if (line.seconds !== null) person.ages.push(line.seconds)
    if (line.decision !== 'approve') return
    person.approvals += 1
    if (asked !== null && (asked.owner_id === actor.id || asked.key_maker_id === actor.id)) note(selfApproval, event)
  }

  return {
    read: (event: ToldEvent): void => {
      add(kinds, event.kind)
      if (event.kind === 'request.responded') decided(event)
      else if ((exceptionKinds as readonly string[]).includes(event.kind)) note(event.kind, event)
      else if (event.before?.held_until !== undefined) note(decisionVoided, event)
    },
    totals: (): Totals => ({
      requests: Object.fromEntries(countedKinds.map((kind) => [kind.slice('request.'.length), kinds.get(kind) ?? 0])),
      decisions: {
        total,
        by_decision: Object.fromEntries(decisions),
        by_assurance: Object.fromEntries(assurances),
        seconds: timesOf(ages),
        of_unknown_age: total - ages.length,
      },
      people: [...people]
        .map(([id, { ages: own, ...counts }]) => ({ id, ...counts, seconds: timesOf(own) }))
        .sort((a, b) => b.decisions - a.decisions),
      listed,
      exceptions: { counts: Object.fromEntries(exceptions), listed: lines, left_out: left },
    }),
  }
}

function decisionOf({ subject, at, actor, after, asked }: ToldEvent): DecisionLine {
  return {
    request_id: subject.id,
    decided_at: at,
    decided_by: actor.id,
    role: typeof after?.role === 'string' ? after.role : null,
    decision: String(after?.decision),
    assurance: assuranceBy(actor.signed_in_with ?? []),
    agent_id: asked?.agent_id ?? null,
    // The events come from the clocks of two processes.
    seconds: asked === null ? null : Math.max(0, (Date.parse(at) - Date.parse(asked.at)) / 1_000),
  }
}

function lineOf(kind: string, { id, at, actor, subject, before, after, reason }: ToldEvent): ExceptionLine {
  return {
    kind,
    event_id: id,
    at,
    actor_kind: actor.kind,
    actor_id: actor.id,
    subject_kind: subject.kind,
    subject_id: subject.id,
    before,
    after,
    reason,
  }
}

function add(counts: Map<string, number>, name: string): number {
  const count = (counts.get(name) ?? 0) + 1
  counts.set(name, count)
  return count
}

/** The smallest value that so many percent do not exceed. */
function timesOf(seconds: readonly number[]): Times {
  const sorted = Float64Array.from(seconds).sort()
  const at = (percent: number): number | null =>
    sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? null
  return { median: at(50), p90: at(90), longest: at(100) }
}
