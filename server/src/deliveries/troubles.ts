import { bySystem, factBy, type Report } from '../facts/fact.ts'
import { createBoundedMap } from '../platform/bounded-map.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import { type Receiver, type Released, receiverName } from './targets.ts'

export interface TroubleDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly report: Report
}

/** A receiver whose breaker opens again within this time is not reported again. */
const quietMs = 600_000
/** Breakers of one organization that are reported in that time. */
const perOrganization = 20
/** Between two lines about deliveries to one receiver that are given up. */
const lineMs = 60_000

export type Troubles = ReturnType<typeof createTroubles>

/** Says in the log and in the audit which receivers are in trouble, without a flood of either. */
export function createTroubles({ db, clock, log, report }: TroubleDependencies) {
  const opened = createBoundedMap<string, { readonly at: number; isOpen: boolean }>(10_000)
  const budgets = createBoundedMap<string, { readonly until: number; left: number }>(10_000)
  const givenUp = createBoundedMap<string, { readonly at: number; unsaid: number }>(10_000)

  const mayReport = (organizationId: string, now: number): boolean => {
    const known = budgets.get(organizationId)
    const budget = known === undefined || known.until <= now ? { until: now + quietMs, left: perOrganization } : known
    budgets.set(organizationId, budget)
    budget.left -= 1
    return budget.left >= 0
  }

  const record = async (
    { organizationId, target }: Receiver,
    kind: 'breaker.opened' | 'breaker.closed',
    after: object,
  ) => {
    const change = { after: { ...after }, erasable: { target }, occurredAt: clock.now() }
    const fact = factBy(bySystem(organizationId), kind, ['organization', organizationId], change)
    await inTransaction(db, { organizationId }, (tx) => report(tx, [fact])).catch((error: unknown) =>
      log.error({ err: error, organization_id: organizationId, target }, `${kind} was not recorded`),
    )
  }

  return {
    breakerChanged: async (
      receiver: Receiver,
      { openMs, failures }: NonNullable<Released['breaker']>,
    ): Promise<void> => {
      const name = receiverName(receiver)
      const now = clock.now().getTime()
      const { organizationId: organization_id, target } = receiver
      const known = opened.get(name)
      if (openMs !== null) {
        if (known?.isOpen !== true) return
        known.isOpen = false
        const seconds = Math.round(openMs / 1_000)
        log.warn({ organization_id, target, seconds }, 'a receiver takes callbacks again: its breaker is closed')
        return record(receiver, 'breaker.closed', { open_seconds: seconds })
      }
      if ((known !== undefined && now - known.at < quietMs) || !mayReport(organization_id, now)) return
      opened.set(name, { at: now, isOpen: true })
      log.warn(
        { organization_id, target, failures },
        'a receiver keeps failing: its breaker is open, and deliveries wait',
      )
      return record(receiver, 'breaker.opened', { failures })
    },
    givenUp: (receiver: Receiver, error: string, isFinal: boolean): void => {
      const name = `${isFinal} ${receiverName(receiver)}`
      const now = clock.now().getTime()
      const known = givenUp.get(name)
      if (known !== undefined && now - known.at < lineMs) {
        known.unsaid += 1
        return
      }
      givenUp.set(name, { at: now, unsaid: 0 })
      const { organizationId: organization_id, target } = receiver
      const facts = { organization_id, target, deliveries: 1 + (known?.unsaid ?? 0), reason: error }
      log.warn(
        facts,
        isFinal ? 'deliveries were given up' : 'deliveries failed: they are tried again at longer intervals',
      )
    },
  }
}
