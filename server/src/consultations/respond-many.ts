import type { Caller, Person } from '../identity/principal.ts'
import { type JsonText, type ParsedJson, partsOf } from '../platform/json.ts'
import { createSlots } from '../platform/limits/slots.ts'
import { invalid } from '../platform/problem.ts'
import { refusedInBulk } from './bulk.ts'
import { type Consultation, otherQuestionShown } from './consultation.ts'
import { type ProofContext, respond } from './proven.ts'
import { read } from './reading.ts'

/** As many as share a commit; other callers find room beside them. */
const atOnce = 32
/** All calls of a process together. */
const inTurn = createSlots(2 * atOnce)

/** One answer of many: what became of it. */
export interface Answered {
  readonly id: string
  readonly outcome: { readonly value: Consultation } | { readonly error: unknown }
}

interface Item {
  readonly id: string
  readonly [member: string]: unknown
}

/**
 * Answers many requests, each by itself: one that is refused does not keep the others back. Throws 422 where one is there twice.
 * `body`: not checked yet but for its outer form.
 */
export async function respondMany(
  context: ProofContext,
  by: Caller<Person>,
  { value, members }: ParsedJson,
): Promise<readonly Answered[]> {
  const { answers } = value as { readonly answers: readonly Item[] }
  const { elements } = partsOf(members.get('answers') ?? ('[]' as JsonText))
  const ids = answers.map(({ id }) => id.toLowerCase())
  const twice = ids.findIndex((id, place) => ids.indexOf(id) !== place)
  if (twice >= 0) throw invalid(`answers.${twice}.id`, 'is there twice: send one answer to each request')

  const settled = async <T>(work: () => Promise<T>): Promise<{ value: T } | { error: unknown; value?: never }> => {
    try {
      return { value: await inTurn(work) }
    } catch (error) {
      return { error }
    }
  }
  // Without what may be large: hundreds of them are under way at once.
  const found = await Promise.all(
    ids.map((id) =>
      settled(async () => {
        const { risk, agentId, digest } = await read(context, by.principal, id)
        return { id, risk, agentId, digest }
      }),
    ),
  )
  const refused = refusedInBulk(found.flatMap(({ value }) => value ?? []))

  const answerOne = async (place: number): Promise<Answered['outcome']> => {
    const [known, item, text] = [found[place], answers[place], elements[place]]
    if (known === undefined || item === undefined || text === undefined) throw new Error('there is no such answer')
    if (known.value === undefined) return { error: known.error }
    const refusal = refused.get(known.value.id)
    if (refusal !== undefined) return { error: refusal }
    const { id, ...answer } = item
    const own = new Map(partsOf(text).members)
    own.delete('id')
    const { digest } = known.value
    // It was compared with the others as it was read: if it is another one by now, it is not decided.
    if (answer.digest != null && answer.digest !== digest) return { error: otherQuestionShown(digest) }
    const body = { value: { ...answer, digest }, members: own }
    return settled(() => respond(context, by, id, body))
  }
  return Promise.all(ids.map(async (id, place) => ({ id, outcome: await answerOne(place) })))
}
