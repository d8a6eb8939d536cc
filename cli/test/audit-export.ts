import { generateKeyPairSync, hash, type KeyObject, sign } from 'node:crypto'

/** A second implementation of the export format, written from docs/audit.md, to check the verifier against. */

export interface Signer {
  readonly kid: string
  readonly jwk: Readonly<Record<string, unknown>>
  sign(payload: unknown, typ: string): string
}

export function createSigner(kid: string): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    kid,
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'EdDSA', purpose: 'audit_head' },
    sign: (payload, typ) => jws({ alg: 'EdDSA', kid, typ }, payload, privateKey),
  }
}

export function jws(header: object, payload: unknown, key: KeyObject): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${part(header)}.${part(payload)}`
  return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`
}

export const organizationId = '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a00'

export interface SampleEvent {
  readonly record: string
  readonly erasable: string | null
}

const idOf = (n: number): string => `01890f3e-5c2a-7bbb-8a3b-${n.toString(16).padStart(12, '0')}`

/** Every third event has no erasable part. */
export function sampleEvent(n: number, kind = 'request.created', after: unknown = { state: 'pending' }): SampleEvent {
  const erasable =
    n % 3 === 0 ? null : `{"comment":"Fine – but, \\"keep\\" n° ${n}","salt":"${hash('md5', String(n))}"}`
  const id = idOf(n)
  const record =
    `{"actor":{"id":"${id}","key_id":null,"kind":"person","session_id":null,"signed_in_with":["password"]},` +
    `"after":${JSON.stringify(after)},"before":null,"digest":null,` +
    `"erasable_sha256":${erasable === null ? 'null' : `"${hash('sha256', erasable)}"`},"http_request_id":"call-${n}",` +
    `"id":"${id}","kind":"${kind}","occurred_at":"2026-01-31T09:00:00.000Z","organization_id":"${organizationId}",` +
    `"subject":{"id":"${id}","kind":"request"},"v":1}`
  return { record, erasable }
}

/** The Merkle tree as RFC 6962, 2.1 defines it: recursively, splitting at the largest power of two below the size. */
export function treeHash(leaves: readonly Buffer[]): Buffer {
  const [only] = leaves
  if (leaves.length === 1 && only !== undefined) return only
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  const left = treeHash(leaves.slice(0, split))
  return hash('sha256', Buffer.concat([Buffer.from([1]), left, treeHash(leaves.slice(split))]), 'buffer')
}

export function leafOf(record: string): Buffer {
  return hash('sha256', Buffer.concat([Buffer.from([0]), Buffer.from(record)]), 'buffer')
}

export interface SealedBatch {
  readonly events: readonly SampleEvent[]
  readonly head: string
  readonly leaves: readonly Buffer[]
}

/** A chain of batches of these sizes; `signerOf` returns the signer of each seal. */
export function chainOf(sizes: readonly number[], signerOf: (seal: number) => Signer, event = sampleEvent) {
  let link: Buffer = Buffer.alloc(32)
  let position = 0
  let previous: string | null = null
  return sizes.map((size, index): SealedBatch => {
    const first = position + 1
    const events = Array.from({ length: size }, () => event(++position))
    const leaves = events.map(({ record }) => leafOf(record))
    for (const { record } of events) link = hash('sha256', Buffer.concat([link, Buffer.from(record)]), 'buffer')
    const payload = {
      organization_id: organizationId,
      number: index + 1,
      first,
      last: position,
      root: treeHash(leaves).toString('hex'),
      link: link.toString('hex'),
      previous_seal_sha256: previous === null ? null : hash('sha256', previous),
      sealed_at: '2026-01-31T09:00:01.000Z',
    }
    const head = signerOf(index + 1).sign(payload, 'hitl-audit-head+jws')
    previous = head
    return { events, head, leaves }
  })
}

export interface ExportOptions {
  /** Leaves out the batches up to and including this seal. */
  readonly after?: number
  /** Positions of events whose erasable part was erased. */
  readonly erased?: ReadonlySet<number>
  readonly end?: Readonly<Record<string, unknown>>
}

export function eventLine(position: number, { record, erasable }: SampleEvent): string {
  return `{"position":${position},"record":${record}${erasable === null ? '' : `,"erasable":${erasable}`}}`
}

/** The lines of an export of this chain. */
export function exportLines(chain: readonly SealedBatch[], signer: Signer, options: ExportOptions = {}): string[] {
  const { after = 0, erased = new Set() } = options
  let position = chain.slice(0, after).reduce((sum, { events }) => sum + events.length, 0)
  const previous = chain[after - 1]?.head
  const lines = [
    `{"hitl_audit_export":1,"organization_id":"${organizationId}","first_seal":${after + 1},` +
      `"first_position":${position + 1},"previous":${previous === undefined ? 'null' : `"${previous}"`}}`,
  ]
  for (const { events, head, leaves } of chain.slice(after)) {
    for (const event of events) {
      position += 1
      lines.push(eventLine(position, erased.has(position) ? { ...event, erasable: null } : event))
    }
    lines.push(`{"seal":"${head}","leaves":"${Buffer.concat(leaves).toString('base64')}"}`)
  }
  const last = chain.at(-1)?.head
  const end = {
    organization_id: organizationId,
    exported_at: '2026-01-31T10:00:00.000Z',
    after: after === 0 ? null : after,
    purged_up_to: null,
    first_seal: after + 1,
    last_seal: chain.length,
    last_position: position,
    last_seal_sha256: last === undefined ? null : hash('sha256', last),
    unsealed_events: 0,
    unsealed_erasures: 0,
    unsealed_purges: 0,
    misplaced_events: 0,
    mismatched_columns: 0,
    ...options.end,
  }
  lines.push(`{"end":"${signer.sign(end, 'hitl-audit-export+jws')}"}`)
  return lines
}

export function asFile(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(''))
}
