import { hash } from 'node:crypto'
import type { Clock } from '../../platform/clock.ts'
import type { Db } from '../../platform/db.ts'
import { exportEndType, type SignAudit } from '../seals/seal.ts'
import * as store from './store.ts'

export type ExportFormat = 'jsonl' | 'csv'

export interface ExportDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly sign: SignAudit
  /** Seals what the organization has; answers whether there was anything. */
  readonly sealOne: (organizationId: string) => Promise<boolean>
}

export type Exporter = ReturnType<typeof createExporter>

export function createExporter({ db, clock, sign, sealOne }: ExportDependencies) {
  /** Until there is nothing more that is settled. Throws 503 when the key cannot be had: then there would be no end either. */
  const seal = async (organizationId: string): Promise<void> => {
    while (await sealOne(organizationId)) {}
  }

  async function* write(organizationId: string, begin: store.Beginning, format: ExportFormat): AsyncGenerator<string> {
    const rows = db.within({ organizationId })
    let from = { at: begin.at, position: begin.firstPosition - 1 }
    let last: store.Bound | null = null
    yield format === 'csv' ? csvHeader : headerLine(organizationId, begin)
    // Twice: what was erased while the first pass was read is told by an event that only the second one finds sealed.
    for (const _pass of [1, 2]) {
      await seal(organizationId)
      const until: store.Bound | null = await store.bound(rows, organizationId)
      if (until === null) break
      for (;;) {
        const page = await store.page(rows, format, organizationId, from, until.at)
        if (page === null) break
        from = { at: page.at, position: from.position + page.events }
        yield page.text
      }
      last = until
    }
    if (format === 'csv') return
    yield `{"end":"${await sign(await endOf(organizationId, begin, last, from.position), exportEndType)}"}\n`
  }

  const endOf = async (
    organizationId: string,
    begin: store.Beginning,
    last: store.Bound | null,
    position: number,
  ): Promise<Readonly<Record<string, unknown>>> => {
    if (last !== null && last.position !== position)
      throw new Error('events were purged while they were being exported')
    const rest = await store.unsealed(db.within({ organizationId }), organizationId, last?.at ?? begin.at)
    return {
      organization_id: organizationId,
      exported_at: clock.now().toISOString(),
      first_seal: begin.firstSeal,
      last_seal: last?.seal ?? begin.firstSeal - 1,
      last_position: position,
      last_seal_sha256: last === null ? null : hash('sha256', last.head),
      unsealed_events: rest.events,
      unsealed_erasures: rest.erasures,
    }
  }

  return {
    seal,
    /** Null: there is no seal `after`. The text comes in pages, each read when the one before has been taken. */
    export: async (
      organizationId: string,
      format: ExportFormat,
      after: number | null,
    ): Promise<AsyncGenerator<string> | null> => {
      const begin = await store.beginning(db.within({ organizationId }), organizationId, after)
      return begin === null ? null : write(organizationId, begin, format)
    },
  }
}

const csvHeader = `${store.csvColumns.map(([name]) => `"${name}"`).join(',')}\r\n`

function headerLine(organizationId: string, { firstSeal, firstPosition, previousHead }: store.Beginning): string {
  return (
    `{"hitl_audit_export":1,"organization_id":"${organizationId}","first_seal":${firstSeal},` +
    `"first_position":${firstPosition},"previous":${previousHead === null ? 'null' : `"${previousHead}"`}}\n`
  )
}
