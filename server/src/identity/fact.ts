import type { Actor } from './principal.ts'

/** What this module reports of itself; `app.ts` connects it to the event log, which stands on the floor above. */
export interface IdentityFact {
  readonly organizationId: string
  readonly kind: string
  readonly subjectKind:
    | 'user'
    | 'session'
    | 'team'
    | 'agent'
    | 'api_key'
    | 'invitation'
    | 'organization'
    | 'signing_key'
    | 'identity_provider'
  readonly subjectId: string
  readonly actor: Actor
  readonly httpRequestId: string | null
  /** The address the call came from; kept where it can be erased. */
  readonly network?: string | null
  /** What a decision or a fresh factor was bound to: SHA-256, in hex. */
  readonly digest?: string | null
  /** Never free text that people wrote, nor names and addresses: those go into `erasable`. */
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
  /** Personal data of this fact: the audit holds only its salted hash, so it can be erased later. Flat, wire names. */
  readonly erasable?: Readonly<Record<string, unknown>>
  readonly occurredAt: Date
}

/** Text, or a list of texts. */
type Words = Readonly<Record<string, string | readonly string[] | null>>

/** What people wrote, as `erasable` holds it: `name` where it is new, `name_before` and `name_after` where it changed. */
export function wordsOf(before: Words | null, after: Words): Pick<IdentityFact, 'erasable'> {
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
