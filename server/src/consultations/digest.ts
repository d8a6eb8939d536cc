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
  /** What is null is left out of the digest. */
  readonly action: JsonText | null
  readonly answerAsked: JsonText | null
  readonly justification: string | null
  readonly presentation: JsonText | null
}

/** Digests by the SHA-256 of the text they were computed from: 250 bytes each. */
const computed = createBoundedMap<string, string>(20_000)

/**
 * SHA-256, in hex, over the RFC 8785 JSON of `{context, description, title}`, and of `attachments`, `action`, `answer`,
 * `justification` and `presentation` where there are any: with it anybody can check, byte for byte, what was approved.
 */
export function digestOf(asked: Asked): string {
  return jsonDigest(textOf(asked))
}

/** The same over any JSON: of the arguments to be used, and of the values of a form. */
export function argsDigest(action: JsonText): string {
  return jsonDigest(argsOf(action))
}

/**
 * SHA-256, in hex, over the RFC 8785 JSON of a text. Every read and every act computes it anew from the row, so the canonical
 * form, which takes 30 times as long as hashing the text as it is, is made once for each text.
 */
export function jsonDigest(text: JsonText): string {
  const key = hash('sha256', text, 'base64')
  const known = computed.get(key)
  if (known !== undefined) return known
  const digest = hash('sha256', canonicalize(JSON.parse(text)) ?? '')
  computed.set(key, digest)
  return digest
}

/** What a decision is about, and says. */
export interface Digested extends Asked {
  readonly response: { readonly data: JsonText | null; readonly args: JsonText | null } | null
}

/** Computes the digests of large texts in a thread; `digestOf` and the others then have them, and do not hold up everybody else. */
export async function digestAhead(asked: Asked & Partial<Digested>, payer: readonly string[]): Promise<void> {
  for (const text of largeTexts(asked)) {
    const key = hash('sha256', text, 'base64')
    if (computed.get(key) === undefined) computed.set(key, await largeDigest(text, payer))
  }
}

/** Whether `digestOf` and the others have them, or compute them in no time. */
export function isDigested(asked: Asked & Partial<Digested>): boolean {
  return largeTexts(asked).every((text) => computed.get(hash('sha256', text, 'base64')) !== undefined)
}

/** What takes long to make canonical. */
function largeTexts(asked: Asked & Partial<Digested>): readonly JsonText[] {
  const { context, attachments = null, action, answerAsked, presentation, response } = asked
  const parts = [context, attachments, action, answerAsked, presentation]
  const bytes = parts.reduce((sum, part) => sum + (part?.length ?? 0), 0)
  const others = [
    response?.data,
    response?.args,
    action !== null && action.length >= largeBytes ? argsOf(action) : null,
  ]
  return [
    ...(bytes >= largeBytes ? [textOf(asked)] : []),
    ...others.filter((text) => text != null && text.length >= largeBytes),
  ] as JsonText[]
}

function argsOf(action: JsonText): JsonText {
  return JSON.stringify((JSON.parse(action) as { readonly args: unknown }).args) as JsonText
}

function textOf(asked: Asked): JsonText {
  const { title, description, context, attachments = null, action, answerAsked, justification, presentation } = asked
  const more = [
    ...(attachments === null ? [] : [`"attachments":${attachments}`]),
    ...(action === null ? [] : [`"action":${action}`]),
    ...(answerAsked === null ? [] : [`"answer":${answerAsked}`]),
    ...(justification === null ? [] : [`"justification":${JSON.stringify(justification)}`]),
    ...(presentation === null ? [] : [`"presentation":${presentation}`]),
  ]
  const [told, named] = [JSON.stringify(description), JSON.stringify(title)]
  const core = `"context":${context},"description":${told},"title":${named}`
  return `{${[core, ...more].join(',')}}` as JsonText
}
