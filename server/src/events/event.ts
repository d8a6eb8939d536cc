import type { Fact } from '../facts/fact.ts'

/**
 * One audited fact, `noun.past_tense`. `before` and `after` hold what changed, in wire names, and never a secret; free text
 * that people wrote, addresses and networks go into `erasable`. The floor below reports its own facts in the same form;
 * here they get an id and company.
 */
export interface Event extends Omit<Fact, 'subjectKind'> {
  readonly id: string
  readonly subjectKind: Fact['subjectKind'] | 'request'
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
