import { kindOf } from '../api/identical.ts'
import type { Request } from '../api/requests.ts'
import { commentFor, type Decision, decisionsOf, isAnswerable, isRisky } from '../deciding/rules.ts'
import { riskOf } from '../design/risk.ts'
import { asksForMore, isRefusal } from '../questions/question.ts'

/** A request of the list that was selected, and the revision that was painted then. */
export interface Chosen {
  readonly request: Request
  readonly revision: number
}

/** Why one is not decided with the others, in the order in which they are looked for. */
export const reasons = ['closed', 'revised', 'risk', 'asks', 'different'] as const
export type Reason = (typeof reasons)[number]

export interface Parts {
  readonly ready: readonly Request[]
  readonly others: readonly { readonly request: Request; readonly reason: Reason }[]
}

/** What one decision may be made about together, as the service has it: bulk.ts, tiers.ts. */
export function partsOf(chosen: readonly Chosen[], decision: Decision): Parts {
  const judged = chosen.map((one) => ({ request: one.request, reason: reasonOf(one, decision) }))
  const medium = judged.filter(({ request, reason }) => reason === null && riskOf(request.risk) === 'medium')
  const isMixed = new Set(medium.map(({ request }) => kindOf(request))).size > 1
  const all = judged.map((one) => (isMixed && medium.includes(one) ? { ...one, reason: 'different' as const } : one))
  return {
    ready: all.filter(({ reason }) => reason === null).map(({ request }) => request),
    others: all.flatMap(({ request, reason }) => (reason === null ? [] : [{ request, reason }])),
  }
}

function reasonOf({ request, revision }: Chosen, decision: Decision): Exclude<Reason, 'different'> | null {
  if (!isAnswerable(request)) return 'closed'
  if (request.revision !== revision) return 'revised'
  if (isRisky(request)) return 'risk'
  // What the list leaves out may ask for anything.
  if (request.answer_truncated === true || !decisionsOf(request).includes(decision)) return 'asks'
  const isRefused = isRefusal(decision)
  const asks = asksForMore(request) || commentFor(request, decision) === 'required'
  return !isRefused && asks ? 'asks' : null
}

/** What all of them together ask for beside a refusal. */
export function commentForAll(requests: readonly Request[], decision: Decision): 'none' | 'optional' | 'required' {
  const needs = new Set(requests.map((request) => commentFor(request, decision)))
  return needs.has('required') ? 'required' : needs.has('optional') ? 'optional' : 'none'
}

/** Requests of the list that are identical to one of those selected, and not selected yet. */
export function alikeOf(requests: readonly Request[], chosen: readonly Chosen[]): readonly Request[] {
  const ids = new Set(chosen.map(({ request }) => request.id))
  const kinds = new Set(chosen.map(({ request }) => kindOf(request)))
  return requests.filter((request) => !ids.has(request.id) && kinds.has(kindOf(request)) && isAnswerable(request))
}
