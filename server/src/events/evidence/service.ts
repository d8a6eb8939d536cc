import { type Check, checksOf, type EarlierRevisions, type Members } from './checks.ts'
import type { InclusionProof } from './proof.ts'
import type { ProvenEvent } from './store.ts'

/** The evidence of one request: all JSON texts as the service keeps them. */
export interface Evidence {
  readonly organizationId: string
  readonly requestId: string
  readonly generatedAt: Date
  /** As `GET /requests/{id}` returns it. */
  readonly request: string
  /** Its members, without what may be large. */
  readonly about: Members
  readonly context: string
  readonly values: string | null
  /** Computed from what the request says now. */
  readonly digest: string
  readonly answered: Members | null
  /** The decision's certificate, a compact JWS; null when there is none. */
  readonly certificate: string | null
  readonly earlier: EarlierRevisions
  readonly deliveries: string
  /** The first and the last events in the order of the chain, and their total number. */
  readonly events: readonly ProvenEvent[]
  readonly eventsTotal: number
  /** The events that say what of these was erased. */
  readonly erasures: readonly ProvenEvent[]
  /** JSON Web Keys: those of certificates and heads, leaked ones too. */
  readonly keys: string
  /** What people call the ids in it. */
  readonly names: readonly EvidenceName[]
  readonly checks: readonly Check[]
}

export interface EvidenceName {
  readonly id: string
  readonly kind: string
  readonly name: string | null
  readonly email: string | null
}

export function evidenceChecks({ about: request, ...evidence }: Omit<Evidence, 'checks'>): readonly Check[] {
  return checksOf({ ...evidence, request, keys: JSON.parse(evidence.keys) as readonly Members[] })
}

/** Every id of a person, agent or key in the request and its events. */
export function idsIn(
  { agent_id, api_key_id, responded_by }: Members,
  events: readonly ProvenEvent[],
): readonly string[] {
  const actors = events.map(({ record }) => (JSON.parse(record) as { readonly actor: Members }).actor)
  const ids = [agent_id, api_key_id, responded_by, ...actors.flatMap(({ id, key_id }) => [id, key_id])]
  return [...new Set(ids.filter((id) => typeof id === 'string'))]
}

/** The pack as JSON. Records are in it byte for byte: the hashed text is the value of `"record":`. */
export function evidenceJson(evidence: Evidence): string {
  const { organizationId, requestId, generatedAt, request, certificate, deliveries, keys } = evidence
  const { earlier, events, eventsTotal, erasures, names } = evidence
  return (
    `{"hitl_evidence":1,"organization_id":"${organizationId}","request_id":"${requestId}",` +
    `"generated_at":"${generatedAt.toISOString()}","checks":${JSON.stringify(evidence.checks)},` +
    `"names":${JSON.stringify(names)},"request":${request},` +
    `"certificate":${JSON.stringify(certificate)},"revisions":[${earlier.revisions.map(({ json }) => json).join(',')}],` +
    `"revisions_left_out":${earlier.leftOut},"deliveries":${deliveries},` +
    `"events_total":${eventsTotal},"events_left_out":${eventsTotal - events.length},` +
    `"events":[${events.map(eventJson).join(',')}],"erasures":[${erasures.map(eventJson).join(',')}],` +
    `"seals":[${sealsJson([...events, ...erasures])}],"keys":${keys}}`
  )
}

function eventJson({ record, erasable, standing, proof }: ProvenEvent): string {
  return (
    `{"record":${record},"erasable":${erasable},"standing":"${standing}",` +
    `"proof":${proof === null ? 'null' : proofJson(proof)}}`
  )
}

function proofJson({ seal, position, index, size, path }: InclusionProof): string {
  return JSON.stringify({ seal, position, index, size, path: hashes(path) })
}

function hashes(path: Buffer): readonly string[] {
  return Array.from({ length: path.length / 32 }, (_, at) => path.toString('hex', at * 32, (at + 1) * 32))
}

function sealsJson(events: readonly ProvenEvent[]): string {
  const seals = new Map(events.flatMap(({ proof }) => (proof === null ? [] : [[proof.seal, proof.head] as const])))
  return [...seals].map(([number, head]) => `{"number":${number},"head":"${head}"}`).join(',')
}
