import type { Agent, Caller } from '../identity/principal.ts'
import { type CreatedOnce, createOnce } from '../platform/idempotency.ts'
import { type JsonText, type ParsedJson, partsOf } from '../platform/json.ts'
import { createSlots } from '../platform/limits/slots.ts'
import { within } from '../platform/problem.ts'
import { type AskContext, type Asking, asRefused, insertTogether, prepare } from './ask.ts'
import { type Consultation, initialReply } from './consultation.ts'
import { asFirstAsked } from './revision-store.ts'
import * as store from './store.ts'

/** Each holds a connection, and up to 500 requests. */
const batchesAtOnce = createSlots(2)

/**
 * Creates all requests of the body, or none, in one commit. Each row keeps the Idempotency-Key with its place in the batch,
 * behind a blank, which no caller's key has.
 */
export async function createMany(
  context: AskContext,
  by: Caller<Agent>,
  { value, members }: ParsedJson,
  { idempotency, traceparent }: Asking,
): Promise<CreatedOnce<readonly Consultation[]>> {
  const { requests } = value as { readonly requests: readonly unknown[] }
  const { elements } = partsOf(members.get('requests') ?? ('[]' as JsonText))
  const keyAt = (place: number): string => `${idempotency?.key} ${place}`
  const { organizationId, agentId } = by.principal

  const insert = async (): Promise<readonly Consultation[] | null> => {
    const prepared: Parameters<typeof insertTogether>[1][number][] = []
    for (const [place, text] of elements.entries()) {
      const body = { value: requests[place], members: partsOf(text).members }
      const one = await prepare(context, by, body, traceparent).catch((error: unknown) => {
        throw within(`requests.${place}`, error)
      })
      prepared.push({ ...one, idempotency: idempotency && { ...idempotency, key: keyAt(place) }, from: by })
    }
    const inserted = await batchesAtOnce(() =>
      context.openWrites.during(() => insertTogether(context, prepared, { isWhole: true })),
    ).catch(async (error: unknown) => {
      throw await asRefused(context, by, error)
    })
    const made = inserted.flatMap((one) => ('value' in one && one.value !== null ? [one.value] : []))
    return made.length === 0 ? null : made
  }
  const find = async () => {
    const keys = elements.map((_text, place) => keyAt(place))
    const db = context.db.within({ organizationId })
    const found = await store.byIdempotencyKeys(db, organizationId, agentId, keys)
    const [first] = found
    if (first === undefined) return null
    const made = found.map((one) => one.made)
    return { made: await asFirstAsked(db, made), hash: first.hash }
  }
  return createOnce(idempotency, { insert, find, initialReply: (made) => made.map(initialReply) })
}
