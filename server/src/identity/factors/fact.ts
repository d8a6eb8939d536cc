import { type Fact, type FactChange, factBy } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { byCaller, type Caller, type Person } from '../principal.ts'

/** What happened to a person's own factors, as an event of the organization they are working in. */
export function factAbout(
  by: Caller<Person>,
  kind: EventKind,
  { before = null, after = null }: Partial<Pick<FactChange, 'before' | 'after'>>,
  occurredAt: Date,
): Fact {
  return factBy(byCaller(by), kind, ['user', by.principal.userId], { before, after, occurredAt })
}
