import type { Caller, Person } from '../identity/principal.ts'
import { type JsonText, type ParsedJson, partsOf } from '../platform/json.ts'
import { createSlots } from '../platform/limits/slots.ts'
import { invalid } from '../platform/problem.ts'
import { refusedInBulk } from './bulk.ts'
import { type Consultation, notFound } from './consultation.ts'
import { type ProofContext, respond } from './proven.ts'
import { outlines } from './reading.ts'

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
  readonly digest?: string | null
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

  const found = await outlines(context, by.principal, ids)
  // Compared by what they are answered to: the question that was shown, or else the one that is asked now. `respond` holds them to it.
  const shown = answers.map(({ digest }, place) => {
    const outline = found.get(ids[place] ?? '')
    return outline && { ...outline, digest: digest ?? outline.digest }
  })
  const refused = refusedInBulk(shown.filter((one) => one !== undefined))

  const answerOne = async (place: number): Promise<Answered['outcome']> => {
    const [known, item, text] = [shown[place], answers[place], elements[place]]
    if (item === undefined || text === undefined) throw new Error('there is no such answer')
    if (known === undefined) return { error: notFound() }
    const refusal = refused.get(known.id)
    if (refusal !== undefined) return { error: refusal }
    const { id, ...answer } = item
    const own = new Map(partsOf(text).members)
    own.delete('id')
    const body = { value: { ...answer, digest: known.digest }, members: own }
    try {
      return { value: await inTurn(() => respond(context, by, id, body)) }
    } catch (error) {
      return { error }
    }
  }
  return Promise.all(ids.map(async (id, place) => ({ id, outcome: await answerOne(place) })))
}
