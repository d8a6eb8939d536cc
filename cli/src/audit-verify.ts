/**
 * Verifies an audit export offline: standalone, on node:crypto alone. docs/audit.md describes the format and what each check proves.
 * Reads the file once, keeps one batch in memory, and reports every place where something is wrong.
 */
import { createFindings, type Finding } from './audit-verify-findings.ts'
import { type KeySet, keyRing } from './audit-verify-jws.ts'
import type { ComparedHeads } from './audit-verify-limits.ts'
import { type Chunks, eachLine } from './audit-verify-lines.ts'
import { readOutsideHeads } from './audit-verify-outside.ts'
import { createExportReader } from './audit-verify-reader.ts'

export type { Chunks, Finding, KeySet }

export interface VerifyOptions {
  /** The key set of the installation from /.well-known/jwks.json: fetched now or, better, saved earlier. */
  readonly publicKeys: KeySet
  /**
   * Heads that were written outside the database: lines of AUDIT_HEADS_FILE, or compact JWS. The last one reveals that the end of
   * the file was cut off, and any of them that history was rewritten.
   */
  readonly expectHead?: string | readonly string[]
}

export interface Verification {
  /** True if nothing is wrong. `limits` lists what the file cannot prove. */
  readonly ok: boolean
  /** True if a finding shows a change and not only a missing proof. */
  readonly changed: boolean
  readonly organizationId: string | null
  readonly events: number
  readonly seals: number
  /** Events whose erasable part was erased according to the audit itself. */
  readonly erased: number
  readonly firstPosition: number | null
  readonly lastPosition: number | null
  readonly lastSeal: { readonly number: number; readonly sealedAt: string; readonly head: string } | null
  readonly exportedAt: string | null
  readonly heads: ComparedHeads
  /** In the order of the file, the first 1 000; `findingCount` counts all. */
  readonly findings: readonly Finding[]
  readonly findingCount: number
  /** What this file cannot prove, in sentences for people. */
  readonly limits: readonly string[]
}

export async function verifyExport(source: Chunks, options: VerifyOptions): Promise<Verification> {
  const findings = createFindings()
  const keys = keyRing(options.publicKeys)
  if (keys.size === 0)
    throw new Error('The key set holds no Ed25519 key for the audit: nothing could be verified with it.')
  const outside = readOutsideHeads([options.expectHead ?? []].flat(), keys, findings)
  const reader = createExportReader(keys, outside, findings)
  const bytesLeft = await eachLine(source, reader.line)
  const summary = reader.finish(bytesLeft)
  const findingCount = findings.count()
  const changed = findingCount > findings.unproven()
  return { ok: findingCount === 0, changed, ...summary, findings: findings.list(), findingCount }
}
