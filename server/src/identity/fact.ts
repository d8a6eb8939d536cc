import type { Actor } from './principal.ts'

/** What this module reports of itself; `app.ts` connects it to the event log, which stands on the floor above. */
export interface IdentityFact {
  readonly organizationId: string
  readonly kind: string
  readonly subjectKind: 'user' | 'api_key' | 'invitation' | 'organization'
  readonly subjectId: string
  readonly actor: Actor
  readonly httpRequestId: string | null
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
  readonly occurredAt: Date
}
