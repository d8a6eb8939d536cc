import { hash } from 'node:crypto'

/** A batch of events whose hashes PostgreSQL has computed (0008_audit.sql); not signed yet. */
export interface Batch {
  readonly organizationId: string
  readonly number: number
  readonly firstPosition: number
  readonly lastPosition: number
  /** The place of its last event in the order of the chain. */
  readonly last: ChainKey
  readonly firstOccurredAt: Date
  readonly lastOccurredAt: Date
  /** 32 bytes per event. */
  readonly leaves: Buffer
  readonly root: Buffer
  readonly link: Buffer
  /** The head and the link of the previous seal, as its row has them; null for the first one. */
  readonly previousHead: string | null
  readonly previousLink: Buffer | null
  /** How many of the events have columns that contradict their records. */
  readonly misfits: number
}

/** An event's place in its organization's chain. `xact` is text because it can exceed a JavaScript number. */
export interface ChainKey {
  readonly era: number
  readonly xact: string
  readonly id: string
}

export interface Seal extends Batch {
  /** Compact JWS over `headOf`. */
  readonly head: string
  readonly sealedAt: Date
}

/** The `typ` headers: a head and the end of an export cannot be mistaken for one another or for anything else. */
export const headType = 'hitl-audit-head+jws'
export const exportEndType = 'hitl-audit-export+jws'

/** The audit's keys; `typ` is that of the protected header. */
export interface AuditSigner {
  /** Signs with the current key. */
  readonly sign: (payload: Readonly<Record<string, unknown>>, typ: string) => Promise<string>
  /** Not null for a compact JWS that one of the keys has signed, revoked ones too. */
  readonly verify: (jws: string, typ: string) => Promise<object | null>
}

/** The signed content of a batch. Each head holds the hash of the previous one, so the last one vouches for all. */
export function headOf(batch: Batch, sealedAt: Date): Readonly<Record<string, unknown>> {
  return {
    organization_id: batch.organizationId,
    number: batch.number,
    first: batch.firstPosition,
    last: batch.lastPosition,
    root: batch.root.toString('hex'),
    link: batch.link.toString('hex'),
    previous_seal_sha256: batch.previousHead === null ? null : hash('sha256', batch.previousHead),
    sealed_at: sealedAt.toISOString(),
  }
}

/** A head as written outside the database. */
export interface PublicHead {
  readonly organizationId: string
  readonly number: number
  readonly head: string
}

/** One line of the file, or one entry of the post. The head holds everything; the rest helps people find theirs. */
export function publicHeadJson({ organizationId, number, head }: PublicHead): string {
  return `{"organization_id":"${organizationId}","number":${number},"head":"${head}"}`
}
