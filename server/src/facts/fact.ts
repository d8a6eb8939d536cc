import type { Tx } from '../platform/database/db.ts'
import type { EventKind, SubjectKind } from './kinds.ts'

/** timer: the service, because a deadline passed; system: the service for any other reason; anonymous: a caller that had not signed in. */
export const actorKinds = ['person', 'agent', 'timer', 'system', 'anonymous'] as const

/** Who did something, as an event keeps it. */
export interface Actor {
  readonly kind: (typeof actorKinds)[number]
  readonly id: string | null
  /** An agent's key. */
  readonly keyId?: string
  /** A person's session, and how it was opened, such as ['password', 'totp']. */
  readonly sessionId?: string
  readonly signedInWith?: readonly string[]
}

export const system: Actor = { kind: 'system', id: null }

/** Where a fact comes from: who did it, in which organization, through which call. */
export interface Origin {
  readonly organizationId: string
  readonly actor: Actor
  /** Null without a call: a timer, a command. */
  readonly httpRequestId: string | null
  /** The address the call came from; kept where it can be erased. */
  readonly network?: string | null
}

/** What changed. */
export interface FactChange {
  /** Wire names. Never a secret, and no text, names or addresses that people wrote: those go into `erasable`. */
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
  /** Personal data of this fact: the audit holds only its salted hash, so it can be erased later. Flat, wire names. */
  readonly erasable?: Readonly<Record<string, unknown>>
  /** What a decision or a fresh factor was bound to: SHA-256, in hex. */
  readonly digest?: string | null
  readonly occurredAt: Date
}

/** A change as it is reported: `before` and `after` are null where they are left out. */
export type ReportedChange = Partial<FactChange> & Pick<FactChange, 'occurredAt'>

/** One thing that happened, as a module reports it in the transaction that changed it. */
export interface Fact extends Origin, FactChange {
  readonly kind: EventKind
  readonly subjectKind: SubjectKind
  readonly subjectId: string
}

/** Appends facts to the event log in the caller's transaction; `app.ts` connects it. */
export type Report = (tx: Tx, facts: readonly Fact[]) => Promise<void>

export function factBy(
  { organizationId, actor, httpRequestId, network = null }: Origin,
  kind: EventKind,
  [subjectKind, subjectId]: readonly [SubjectKind, string],
  { before = null, after = null, ...change }: ReportedChange,
): Fact {
  const subject = { organizationId, kind, subjectKind, subjectId }
  return { ...subject, actor, httpRequestId, network, before, after, ...change }
}

/** The service itself, without a call. */
export function bySystem(organizationId: string): Origin {
  return { organizationId, actor: system, httpRequestId: null }
}

/** Text, or a list of texts. */
type Texts = Readonly<Record<string, string | readonly string[] | null>>

/** Text that people wrote, as `erasable` holds it: `name` when it is new, `name_before` and `name_after` when it changed. */
export function personalFields(before: Texts | null, after: Texts): Pick<Fact, 'erasable'> {
  const entries = Object.entries(after).flatMap(([name, value]): readonly (readonly [string, unknown])[] => {
    if (before === null) return value === null || (Array.isArray(value) && value.length === 0) ? [] : [[name, value]]
    const was = before[name] ?? null
    if (JSON.stringify(was) === JSON.stringify(value)) return []
    return [
      [`${name}_before`, was],
      [`${name}_after`, value],
    ]
  })
  return entries.length === 0 ? {} : { erasable: Object.fromEntries(entries) }
}
