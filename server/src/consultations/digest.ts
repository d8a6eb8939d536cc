import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { createBoundedMap } from '../platform/bounded-map.ts'
import type { JsonText } from '../platform/json.ts'
import { largeBytes, largeDigest } from '../platform/large-json.ts'

/** The part of a request that a decision is about. */
export interface Asked {
  readonly title: string
  readonly description: string | null
  readonly context: JsonText
  /** The files that the agent added, as the wire has them, as a JSON array; null or left out: none. */
  readonly attachments?: JsonText | null
}

/** Digests by the SHA-256 of the text they were computed from: 250 bytes each. */
const computed = createBoundedMap<string, string>(20_000)

/**
 * SHA-256, in hex, over the RFC 8785 JSON of `{context, description, title}`, and `attachments` where there are some: with it anybody can check, byte for byte, what was
 * approved. Every read and every act computes it anew from the row, so the canonical form, which takes 30 times as long as
 * hashing the text as it is, is made once for each text.
 */
export function digestOf(asked: Asked): string {
  const text = textOf(asked)
  const key = hash('sha256', text, 'base64')
  const known = computed.get(key)
  if (known !== undefined) return known
  const digest = hash('sha256', canonicalize(JSON.parse(text)) ?? '')
  computed.set(key, digest)
  return digest
}

/** Computes the digest of a large question in a thread; `digestOf` then has it, and does not hold up everybody else. */
export async function digestAhead(asked: Asked, payer: readonly string[]): Promise<void> {
  if (asked.context.length < largeBytes) return
  const text = textOf(asked)
  const key = hash('sha256', text, 'base64')
  if (computed.get(key) === undefined) computed.set(key, await largeDigest(text, payer))
}

/** Whether `digestOf` has it, or computes it in no time. */
export function isDigested(asked: Asked): boolean {
  return asked.context.length < largeBytes || computed.get(hash('sha256', textOf(asked), 'base64')) !== undefined
}

function textOf({ title, description, context, attachments = null }: Asked): JsonText {
  const [told, named] = [JSON.stringify(description), JSON.stringify(title)]
  const files = attachments === null ? '' : `"attachments":${attachments},`
  return `{${files}"context":${context},"description":${told},"title":${named}}` as JsonText
}
