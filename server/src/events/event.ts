import type { Actor } from '../identity/principal.ts'

/** One audited fact. `before` and `after` hold what changed, in wire names, and never a secret. */
export interface Event {
  readonly organizationId: string
  readonly id: string
  /** `noun.past-tense`, such as `request.responded`. */
  readonly kind: string
  readonly subjectKind: 'request' | 'user' | 'api_key' | 'invitation' | 'organization'
  readonly subjectId: string
  readonly actor: Actor
  readonly httpRequestId: string | null
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
  readonly occurredAt: Date
  /** For in-transaction readers only, never stored with the event: the callback that this fact owes the agent. */
  readonly callback?: CallbackOrder
  /** For in-transaction readers only: the agent, or a person, asks for the last callback to be sent again. */
  readonly redeliver?: true
}

/** A callback that must leave because of an event. */
export interface CallbackOrder {
  readonly event: 'request.responded' | 'request.timeout' | 'request.cancelled'
  readonly url: string
  readonly secret: Buffer | null
  /** The exact bytes to send, as text. */
  readonly body: string
  readonly retrySeconds: readonly number[] | null
}
