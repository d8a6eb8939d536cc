import { hash } from 'node:crypto'
import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction } from '../../platform/database/db.ts'
import type { Logger } from '../../platform/log.ts'
import { type AuditSigner, type ChainKey, exportEndType } from '../seals/seal.ts'
import { lockChain } from '../seals/store.ts'
import * as store from './store.ts'

export type ExportFormat = 'jsonl' | 'csv'

export interface ExportDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly sign: AuditSigner['sign']
  /** Seals what the organization has; returns whether there was anything. */
  readonly sealOne: (organizationId: string) => Promise<boolean>
}

export type Exporter = ReturnType<typeof createExporter>

export function createExporter({ db, clock, log, sign, sealOne }: ExportDependencies) {
  /** Repeats until no settled event is left. Throws 503 when the key is not available, because the end could not be signed either. */
  const seal = async (organizationId: string): Promise<void> => {
    while (await sealOne(organizationId)) {}
  }

  /** The last seal, and a time before which no later seal was made. */
  const boundNow = (organizationId: string): Promise<{ readonly at: Date; readonly until: store.Bound | null }> =>
    inTransaction(db, { organizationId }, async (tx) => {
      // Another process may be sealing just now.
      await lockChain(tx, organizationId)
      const at = clock.now()
      return { at, until: await store.bound(tx, organizationId) }
    })

  async function* write(organizationId: string, begin: store.Beginning, format: ExportFormat): AsyncGenerator<string> {
    const rows = db.within({ organizationId })
    const { firstSeal, firstPosition } = begin
    let from = { at: begin.at, position: firstPosition - 1 }
    let last: store.Bound | null = null
    let exportedAt = clock.now()
    let misfits = 0
    yield format === 'csv' ? csvHeader : headerLine(organizationId, begin)
    // Twice: what was erased during the first pass is recorded in an event that only the second pass finds sealed.
    for (const _pass of [1, 2]) {
      await seal(organizationId)
      const { at, until } = await boundNow(organizationId)
      exportedAt = at
      if (until === null) break
      while (!isSame(from.at, until.at)) {
        const page = await store.page(rows, format, organizationId, firstSeal, from, until.at)
        // Deleted events are for the verifier to find; but after a purge the file would prove less than it claims.
        if (page.gap && (await store.purgedBehind(rows, organizationId, firstSeal, from.at)))
          throw new Error('events were purged while they were being exported')
        from = { at: page.at, position: page.position }
        misfits += page.misfits
        if (page.text !== '') yield page.text
      }
      last = until
    }
    if (misfits > 0)
      log.error({ organization_id: organizationId, misfits }, 'the columns of events contradict their records')
    if (format === 'csv') return
    const end = { ...(await endOf(organizationId, begin, last, exportedAt)), mismatched_columns: misfits }
    yield `{"end":"${await sign(end, exportEndType)}"}\n`
  }

  const endOf = async (
    organizationId: string,
    begin: store.Beginning,
    last: store.Bound | null,
    exportedAt: Date,
  ): Promise<Readonly<Record<string, unknown>>> => {
    const rest = await store.unsealed(db.within({ organizationId }), organizationId, last?.at ?? begin.at)
    return {
      organization_id: organizationId,
      exported_at: exportedAt.toISOString(),
      after: begin.after,
      purged_up_to: begin.purgedUpTo,
      first_seal: begin.firstSeal,
      last_seal: last?.seal ?? begin.firstSeal - 1,
      last_position: last?.position ?? begin.firstPosition - 1,
      last_seal_sha256: last === null ? null : hash('sha256', last.head),
      unsealed_events: rest.events,
      unsealed_erasures: rest.erasures,
      unsealed_purges: rest.purges,
      misplaced_events: rest.misplaced,
    }
  }

  return {
    seal,
    /** Null: there is no seal `after`. The text comes in pages, each read once the previous one has been taken. */
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

const isSame = (a: ChainKey, b: ChainKey): boolean => a.era === b.era && a.xact === b.xact && a.id === b.id

const csvHeader = `${store.csvColumns.map(([name]) => `"${name}"`).join(',')}\r\n`

function headerLine(organizationId: string, { firstSeal, firstPosition, previousHead }: store.Beginning): string {
  return (
    `{"hitl_audit_export":1,"organization_id":"${organizationId}","first_seal":${firstSeal},` +
    `"first_position":${firstPosition},"previous":${previousHead === null ? 'null' : `"${previousHead}"`}}\n`
  )
}
