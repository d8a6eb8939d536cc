import type { Fact } from '../facts/fact.ts'

/** A fact as the log stores it. */
export interface Event extends Fact {
  readonly id: string
}
