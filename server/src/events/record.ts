import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Event } from './event.ts'

/** An event as the audit holds it: two texts in RFC 8785 form, stored, hashed and exported byte for byte. */
export interface Recorded {
  /** Never changes: the chain is made of these. */
  readonly record: string
  /**
   * Free text that people wrote, addresses and networks. The record holds only its hash, so that it can be erased while the
   * chain stays valid. The salt is erased with it, so that the text cannot be found by guessing. Null: there was none.
   */
  readonly erasable: string | null
}

/**
 * The members are in the order of their names' UTF-16 code units (RFC 8785, 3.2.3), and only free text needs escapes. Written
 * like this, a record costs a third of canonicalising the whole object. A test keeps the two equal. Ids are in lower case, as in the
 * columns beside the record: an event whose columns differ is not sealed.
 */
export function recordOf(event: Event, salt: string): Recorded {
  const { actor } = event
  const erasable = erasableOf(event, salt)
  const record =
    `{"actor":{"id":${word(actor.id?.toLowerCase())},"key_id":${word(actor.keyId)},"kind":"${actor.kind}",` +
    `"session_id":${word(actor.sessionId)},"signed_in_with":${canonical(actor.signedInWith ?? null)}},` +
    `"after":${canonical(event.after)},"before":${canonical(event.before)},"digest":${word(event.digest)},` +
    `"erasable_sha256":${word(erasable === null ? null : hash('sha256', erasable))},` +
    `"http_request_id":${JSON.stringify(event.httpRequestId)},` +
    `"id":"${event.id}","kind":"${event.kind}","occurred_at":"${event.occurredAt.toISOString()}",` +
    `"organization_id":"${event.organizationId}",` +
    `"subject":{"id":"${event.subjectId.toLowerCase()}","kind":"${event.subjectKind}"},"v":1}`
  return { record, erasable }
}

/** The event as one row of the insert's JSON parameter: the two texts go in as they are, unescaped (see store.ts). */
export function rowOf(event: Event, salt: string): string {
  const { actor } = event
  const { record, erasable } = recordOf(event, salt)
  return (
    `{"organization_id":"${event.organizationId}","id":"${event.id}","kind":"${event.kind}",` +
    `"subject_kind":"${event.subjectKind}","subject_id":"${event.subjectId}","actor_kind":"${actor.kind}",` +
    `"actor_id":${word(actor.id)},"occurred_at":"${event.occurredAt.toISOString()}","record":${record},` +
    `"erasable":${erasable}}`
  )
}

function erasableOf({ erasable, network }: Event, salt: string): string | null {
  const fromNetwork = network != null
  if (erasable === undefined && !fromNetwork) return null
  return canonical({ ...erasable, ...(fromNetwork ? { network } : {}), salt })
}

/** RFC 8785. A NUL cannot be stored and a lone surrogate is not a character: neither may make an event fail. */
function canonical(value: unknown): string {
  if (value === null) return 'null'
  try {
    const text = canonicalize(value) ?? 'null'
    return text.includes('\\u0000') ? (canonicalize(cleaned(value)) ?? 'null') : text
  } catch {
    return canonicalize(cleaned(value)) ?? 'null'
  }
}

function cleaned(value: unknown): unknown {
  const text = (given: string): string => given.toWellFormed().replaceAll('\0', '\uFFFD')
  return JSON.parse(JSON.stringify(value), (_name, member: unknown) => {
    if (typeof member === 'string') return text(member)
    if (typeof member !== 'object' || member === null || Array.isArray(member)) return member
    return Object.fromEntries(Object.entries(member).map(([name, inner]) => [text(name), inner]))
  })
}

/** For ids, hashes and our own words, which need no escapes. */
function word(value: string | null | undefined): string {
  return value == null ? 'null' : `"${value}"`
}
