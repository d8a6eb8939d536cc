import { hash } from 'node:crypto'
import { pipeline, Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { factBy, type Report } from '../facts/fact.ts'
import type { Permit } from '../identity/factors/step-ups/service.ts'
import { usePermit } from '../identity/factors/step-ups/use-permit.ts'
import { byCaller, type Caller, type Person } from '../identity/principal.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction } from '../platform/database/db.ts'
import { type ArchivedFile, archived, archivedOfAccount, leftOut } from './archive.ts'
import * as store from './store.ts'
import { type TarEntry, tar } from './tar.ts'

export interface ArchiveContext {
  readonly db: Db
  readonly clock: Clock
  readonly report: Report
  readonly version: string
}

/** What an archive is about. */
export type ArchiveSubject = 'organization' | 'person'

/** Rows that are looked at in one statement, and of tables whose rows can have megabytes. */
const pageRows = 500
const widePageRows = 20

/** A gzipped tar of files of JSON Lines, with the manifest as its last file. Taking it is an event, before its first byte. */
export async function take(
  context: ArchiveContext,
  by: Caller<Person>,
  subject: ArchiveSubject,
  permit: Permit,
): Promise<Readable> {
  const { db, clock, report } = context
  const { organizationId, userId } = by.principal
  const at = clock.now()
  await inTransaction(db, { organizationId }, async (tx) => {
    const { digest = null, ...assurance } = await usePermit(tx, permit)
    const change = { after: assurance, digest, occurredAt: at }
    tx.last(
      report(tx, [
        subject === 'person'
          ? factBy(byCaller(by), 'user.archive_taken', ['user', userId], change)
          : factBy(byCaller(by), 'organization.archive_taken', ['organization', organizationId], change),
      ]),
    )
  })
  const tables = await store.describe(db.within({ organizationId }))
  const entries = filesOf(context, by.principal, subject, tables, at)
  return pipeline(Readable.from(tar(entries, at), { objectMode: false }), createGzip(), () => {})
}

async function* filesOf(
  { db, version }: ArchiveContext,
  { organizationId, userId, accountId }: Person,
  subject: ArchiveSubject,
  tables: ReadonlyMap<string, store.Described>,
  at: Date,
): AsyncGenerator<TarEntry> {
  const files: ArchivedFile[] = []
  const file = (name: string, lines: string, rows: number): TarEntry => {
    const content = Buffer.from(`${lines}\n`)
    files.push({ name, rows, bytes: content.length, sha256: hash('sha256', content) })
    return { name, content }
  }
  const rows = db.within({ organizationId })
  for (const [name, { ofOrganization, ofPerson, isWide }] of Object.entries(archived)) {
    if (subject === 'organization' ? !ofOrganization : ofPerson.length === 0) continue
    const personId = subject === 'person' ? userId : null
    let part = 0
    for (let after: readonly string[] | null = null; ; ) {
      const page = await store.page(
        rows,
        described(tables, name),
        organizationId,
        personId,
        after,
        isWide ? widePageRows : pageRows,
      )
      if (page.rows > 0) {
        part += 1
        yield file(`${name}/${String(part).padStart(6, '0')}.jsonl`, page.lines, page.rows)
      }
      if (page.next === null) break
      after = page.next
    }
  }
  if (subject === 'person') {
    const own = db.within({ accountId })
    for (const [name, column] of Object.entries(archivedOfAccount)) {
      const found = await store.ofAccount(own, described(tables, name), column, accountId)
      if (found.rows > 0) yield file(`${name}/000001.jsonl`, found.lines, found.rows)
    }
  }
  const manifest = {
    hitl_archive: 1,
    version,
    organization_id: organizationId,
    user_id: subject === 'person' ? userId : null,
    begun_at: at.toISOString(),
    files,
    left_out: leftOut,
  }
  yield { name: 'manifest.json', content: Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`) }
}

function described(tables: ReadonlyMap<string, store.Described>, name: string): store.Described {
  const table = tables.get(name)
  if (table === undefined) throw new Error(`the database has no table ${name}`)
  return table
}
