import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { type JsonText, malformedJson, type ParsedJson } from './json.ts'
import { createTurns } from './limits/turns.ts'
import { type FieldError, invalidFields } from './problem.ts'

/** From this size on JSON is read and hashed in a thread: a text of 1 MiB that is made to be slow takes half a second. */
export const largeBytes = 32 * 1024

export type Task = { readonly bytes: Uint8Array; readonly schema: string } | { readonly canonical: string }

export type Reply =
  | ParsedJson
  | { readonly digest: string }
  | { readonly refused: { readonly code: string; readonly detail: string; readonly errors: readonly FieldError[] } }

/**
 * As `parseExactJson`, and checked. `payer`: whose turn it takes, an organization and one of its agents or people. What the schema leaves to the caller is missing in the value, so that the result is small
 * whatever was sent; `members` has it.
 */
export async function parseLargeJson(bytes: Uint8Array, schema: object, payer: readonly string[]): Promise<ParsedJson> {
  const reply = await inTurn(payer, { bytes, schema: textOf(schema) })
  if ('refused' in reply) {
    const { code, detail, errors } = reply.refused
    throw code === malformedJson.code ? malformedJson() : invalidFields(detail, errors)
  }
  return reply as ParsedJson
}

/** SHA-256, in hex, over the RFC 8785 JSON of a text. */
export async function largeDigest(text: JsonText, payer: readonly string[]): Promise<string> {
  return ((await inTurn(payer, { canonical: text })) as { readonly digest: string }).digest
}

const texts = new WeakMap<object, string>()

function textOf(schema: object): string {
  const text = texts.get(schema) ?? JSON.stringify(schema)
  texts.set(schema, text)
  return text
}

let thread: Worker | null = null
let isBusy = false
const waiting = createTurns<() => void>()

/** One at a time, and payers take turns, so that nobody waits for all the texts of somebody else. What waits is not copied yet. */
async function inTurn(payer: readonly string[], task: Task): Promise<Reply> {
  if (isBusy) await new Promise<void>((go) => waiting.join(payer, go))
  isBusy = true
  try {
    return await ask(task)
  } finally {
    const go = waiting.next()
    if (go === undefined) isBusy = false
    else go()
  }
}

/** Listens for its errors also while it waits: one that nobody listens to would end the process. */
function startThread(): Worker {
  return new Worker(new URL('./json-thread.ts', import.meta.url)).on('error', () => {
    thread = null
  })
}

async function ask(task: Task): Promise<Reply> {
  thread ??= startThread()
  // A thread that waits does not keep the process; one that is asked does.
  thread.ref()
  thread.postMessage(task)
  const [reply] = (await once(thread, 'message')) as [Reply]
  thread.unref()
  return reply
}
