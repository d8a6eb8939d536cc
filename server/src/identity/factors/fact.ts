import { type Fact, type FactChange, factBy, type Origin } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { byCaller, type Caller, type Person } from '../principal.ts'

/** A synced passkey's counter fell back, and the passkey was accepted. */
export function counterFell(origin: Origin, userId: string, occurredAt: Date): Fact {
  return factBy(origin, 'passkey.counter_fell', ['user', userId], { occurredAt })
}

/** What happened to a person's own factors, as an event of the organization they are working in. */
export function factAbout(
  by: Caller<Person>,
  kind: EventKind,
  { before = null, after = null }: Partial<Pick<FactChange, 'before' | 'after'>>,
  occurredAt: Date,
): Fact {
  return factBy(byCaller(by), kind, ['user', by.principal.userId], { before, after, occurredAt })
}
