import { invalid } from '../platform/problem.ts'
import { dueSoonMinutes, type State, states } from './consultation.ts'
import type { Aside, ListFilter } from './list-filter.ts'
import { type Risk, risks } from './questions/tiers.ts'

/** The queues of one person's inbox: pure. */

export const queues = ['all', 'high_risk', 'due_soon', 'snoozed', 'done'] as const
export type Queue = (typeof queues)[number]

export const isHighRisk = (risk: Risk): boolean => risk === 'high' || risk === 'critical'
export const soonAt = (now: Date): Date => new Date(now.getTime() + dueSoonMinutes * 60_000)

const statesOf: Readonly<Record<Queue, readonly State[]>> = {
  all: ['pending'],
  high_risk: ['pending'],
  due_soon: ['pending'],
  snoozed: ['pending'],
  done: states.filter((state) => state !== 'pending'),
}

type Narrowed = Pick<ListFilter, 'states' | 'risks' | 'dueBefore' | 'aside'>

/** The filters that a queue is, beside those that were asked for. Throws 422 where nothing can meet both. */
export function inQueue(queue: Queue, asked: Narrowed, userId: string, now: Date): Narrowed {
  const both = <T>(name: string, of: readonly T[], wanted: readonly T[] | null): readonly T[] => {
    const left = of.filter((one) => wanted?.includes(one) ?? true)
    if (left.length === 0) throw invalid(name, `cannot be ${wanted} in the queue ${queue}`)
    return left
  }
  const { dueBefore } = asked
  const soon = soonAt(now)
  const aside: Aside = { userId, now, isWanted: queue === 'snoozed' }
  return {
    states: both('state', statesOf[queue], asked.states),
    risks: queue === 'high_risk' ? both('risk', risks.filter(isHighRisk), asked.risks) : asked.risks,
    dueBefore: queue === 'due_soon' && (dueBefore === null || soon < dueBefore) ? soon : dueBefore,
    aside: queue === 'done' ? null : aside,
  }
}
