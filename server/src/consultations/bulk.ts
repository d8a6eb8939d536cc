import { type Problem, refusal } from '../platform/problem.ts'
import { type Risk, tiers } from './questions/tiers.ts'
import type { Outline } from './store.ts'

/** Answers to many requests at once: what each tier of risk allows. */

export const notInBulk = refusal(
  403,
  'consultation.not_in_bulk',
  (risk: Risk) => ({
    detail: `A request of ${risk} risk is answered alone, once it was read. Open it, and answer it there.`,
    extra: { risk },
  }),
  'high',
)

export const notIdentical = refusal(
  403,
  'consultation.not_identical',
  (risk: Risk) => ({
    detail:
      `Requests of ${risk} risk are answered together only if they are identical: asked by the same agent, with the same digest. ` +
      'These are not, so none of them was answered. Send those that are identical, or answer them one by one.',
    extra: { risk },
  }),
  'medium',
)

/** Why these may not be answered together, by their ids. Of those that only identical ones may, one that differs keeps all back. */
export function refusedInBulk(requests: readonly Outline[]): ReadonlyMap<string, Problem> {
  const identicalOnly = requests.filter(({ risk }) => tiers[risk].inBulk === 'identical')
  const kinds = new Set(identicalOnly.map(({ agentId, digest }) => `${agentId} ${digest}`))
  return new Map([
    ...requests
      .filter(({ risk }) => tiers[risk].inBulk === 'never')
      .map(({ id, risk }) => [id, notInBulk(risk)] as const),
    ...(kinds.size > 1 ? identicalOnly.map(({ id, risk }) => [id, notIdentical(risk)] as const) : []),
  ])
}
