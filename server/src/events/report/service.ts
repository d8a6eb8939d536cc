import type { Db } from '../../platform/database/db.ts'
import { createTally, type Totals } from './report.ts'
import * as store from './store.ts'

export interface ReportName {
  readonly id: string
  readonly kind: string
  readonly name: string | null
  readonly email: string | null
}

export interface Period {
  readonly since: Date
  readonly until: Date
}

/** What an organization's audit says of a period. */
export interface Report extends Period, Totals {
  readonly organizationId: string
  readonly generatedAt: Date
  /** The end of what the report covers; the period's, unless it has more events than one report reads. */
  readonly coveredUntil: Date
  readonly events: number
  readonly eventsLeftOut: number
  readonly mismatchedColumns: number
  /** The seals of the first and the last event; each head vouches for all before it. */
  readonly seals: readonly store.ReportedHead[]
  /** Some of the events were not sealed yet. */
  readonly hasUnsealed: boolean
  /** JSON Web Keys of the audit, leaked ones too. */
  readonly keys: readonly unknown[]
  /** What people call the ids in it now. */
  readonly names: readonly ReportName[]
}

export interface ReportDependencies {
  readonly db: Db
  readonly keys: () => Promise<readonly unknown[]>
  readonly names: (organizationId: string, ids: readonly string[]) => Promise<readonly ReportName[]>
}

/** 50 statements; a busy organization makes so many events in weeks. */
const mostPages = 50
const smallestId = '00000000-0000-0000-0000-000000000000'

export async function reportOf(
  { db, keys, names }: ReportDependencies,
  organizationId: string,
  { since, until }: Period,
  generatedAt: Date,
): Promise<Report> {
  const rows = db.within({ organizationId })
  const tally = createTally()
  const seals: number[] = []
  let from: store.Place | null = { at: since, id: smallestId }
  let events = 0
  let mismatchedColumns = 0
  let hasUnsealed = false
  for (let pages = 0; from !== null && pages < mostPages; pages += 1) {
    const page = await store.page(rows, organizationId, from, until)
    for (const event of page.events) tally.read(event)
    events += page.lookedAt
    mismatchedColumns += page.misfits
    hasUnsealed ||= page.lookedAt > 0 && page.lastSeal === null
    seals.push(...[page.firstSeal, page.lastSeal].filter((number) => number !== null))
    from = page.last
  }
  const totals = tally.totals()
  // By reduce: the numbers may be many for the arguments of a call.
  const ends =
    seals.length === 0 ? [] : [seals.reduce((a, b) => Math.min(a, b)), seals.reduce((a, b) => Math.max(a, b))]
  return {
    ...totals,
    organizationId,
    since,
    until,
    generatedAt,
    coveredUntil: from?.at ?? until,
    events,
    eventsLeftOut: from === null ? 0 : await store.rest(rows, organizationId, from, until),
    mismatchedColumns,
    seals: await store.heads(rows, organizationId, [...new Set(ends)]),
    hasUnsealed,
    keys: await keys(),
    names: await names(organizationId, idsIn(totals)),
  }
}

/** Every id of a person, agent or key in it. */
function idsIn({ people, listed, exceptions }: Totals): readonly string[] {
  const ids = [
    ...people.map(({ id }) => id),
    ...listed.flatMap(({ decided_by, agent_id }) => [decided_by, agent_id]),
    ...exceptions.listed.flatMap(({ actor_id, subject_kind, subject_id }) => [
      actor_id,
      named.has(subject_kind) ? subject_id : null,
    ]),
  ]
  return [...new Set(ids.filter((id) => id !== null))]
}

const named: ReadonlySet<string> = new Set(['user', 'agent', 'api_key'])

/** The report for programs. */
export function reportJson(report: Report): object {
  const { organizationId, since, until, generatedAt, coveredUntil, eventsLeftOut, mismatchedColumns } = report
  const { events, requests, decisions, people, listed, exceptions, seals, hasUnsealed, keys, names } = report
  return {
    hitl_compliance_report: 1,
    organization_id: organizationId,
    since,
    until,
    covered_until: coveredUntil,
    generated_at: generatedAt,
    events,
    events_left_out: eventsLeftOut,
    mismatched_columns: mismatchedColumns,
    requests,
    decisions: { ...decisions, listed, left_out: decisions.total - listed.length },
    people,
    exceptions,
    seals,
    has_unsealed: hasUnsealed,
    keys,
    names,
  }
}
