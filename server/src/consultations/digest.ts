import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { createBoundedMap } from '../platform/bounded-map.ts'
import type { JsonText } from '../platform/json.ts'

/** The part of a request that a decision is about. */
export interface Asked {
  readonly title: string
  readonly description: string | null
  readonly context: JsonText
}

/** Digests by the SHA-256 of the text they were computed from: 250 bytes each. */
const computed = createBoundedMap<string, string>(20_000)

/**
 * SHA-256, in hex, over the RFC 8785 JSON of `{context, description, title}`: with it anybody can check, byte for byte, what was
 * approved. Every read and every act computes it anew from the row, so the canonical form, which takes 30 times as long as
 * hashing the text as it is, is made once for each text.
 */
export function digestOf({ title, description, context }: Asked): string {
  const written = hash('sha256', JSON.stringify([title, description]) + context, 'base64')
  const known = computed.get(written)
  if (known !== undefined) return known
  const digest = hash('sha256', canonicalize({ context: JSON.parse(context), description, title }) ?? '')
  computed.set(written, digest)
  return digest
}
