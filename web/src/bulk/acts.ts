import { sendAnswers } from '../api/answers.ts'
import { type Problem, Refused } from '../api/refused.ts'
import type { Request } from '../api/requests.ts'
import { session } from '../api/session.ts'
import { beginTogether, decisions, refuse, sent, settle, undo } from '../deciding/decisions.ts'
import { commentFor, holdSeconds } from '../deciding/rules.ts'
import { riskOf } from '../design/risk.ts'
import type { ListRules } from '../live/merge.ts'
import { bringBack, setAside } from '../snoozing/acts.ts'
import { dismissSnoozed } from '../snoozing/aside.ts'
import { beginMany, changeMany, endMany, type Many } from './many.ts'

function begin(did: Many['did'], requests: readonly Request[], rest: Pick<Many, 'status' | 'heldUntil'>): Many {
  dismissSnoozed()
  const many: Many = { did, requests, at: performance.now(), failed: [], ...rest }
  beginMany(many)
  return many
}

/** Decides about each as it was painted, in one call. They leave the list at once; those that the service refuses come back. */
export async function decideMany(
  requests: readonly Request[],
  decision: 'approve' | 'reject',
  comment: string,
): Promise<void> {
  const { promise: reply, resolve: replied } = Promise.withResolvers<void>()
  const who = session.who()
  const entries = beginTogether(requests, decision, reply)
  const many = begin(decision, requests, { status: 'sending', heldUntil: Number.POSITIVE_INFINITY })
  const answers = requests.map((request) => ({
    id: request.id,
    revision: request.revision,
    // What they are identical by, as it was shown.
    digest: request.digest,
    decision,
    hold_seconds: holdSeconds[riskOf(request.risk)],
    ...(comment === '' || commentFor(request, decision) === 'none' ? {} : { comment }),
  }))
  try {
    const { items } = await sent((key) => sendAnswers(answers, key))
    if (session.who() !== who) return
    for (const [place, entry] of entries.entries()) {
      const { request, problem, status = 500 } = items[place] ?? {}
      if (request !== undefined) settle(entry, request)
      else await refuse(entry, new Refused(status, (problem ?? {}) as Partial<Problem>))
    }
  } catch (error) {
    if (session.who() !== who) return
    for (const entry of entries) await refuse(entry, error)
  } finally {
    if (session.who() === who) settleAll(many)
    replied()
  }
}

/** Until when all of it can be taken back, and of which requests it did not stand. */
function settleAll(many: Many): void {
  const { decided } = decisions()
  const held = many.requests.flatMap(({ id }) => decided.get(id)?.heldUntil ?? [])
  const heldUntil = held.length === 0 ? 0 : Math.min(...held)
  const isHeld = heldUntil > performance.now()
  changeMany(many, ({ status }) => ({
    heldUntil,
    status: status !== 'sending' ? status : isHeld ? 'held' : 'released',
  }))
  noteFailed(many)
}

/** What did not stand; whether there is any. */
function noteFailed(many: Many): boolean {
  const { notices } = decisions()
  const failed = many.requests.flatMap(({ id }) => notices.get(id) ?? [])
  changeMany(many, () => ({ failed }))
  return failed.length > 0
}

/** How long the toast tells it. Nothing is lost when it is gone: they are in Snoozed, and come back from there. */
const snoozeToldMs = 10_000

export async function snoozeMany(
  requests: readonly Request[],
  until: Date,
  lists: readonly ListRules[],
): Promise<void> {
  const who = session.who()
  const many = begin('snooze', requests, { status: 'held', heldUntil: performance.now() + snoozeToldMs })
  await Promise.all(requests.map((request) => setAside(request, until, lists)))
  if (session.who() === who) noteFailed(many)
}

/** So many calls at once. */
const atOnce = 8

/** Takes back all of it that stands. Of how many requests; null when somebody else is there by then. */
export async function undoMany(many: Many, lists: readonly ListRules[]): Promise<number | null> {
  const who = session.who()
  changeMany(many, () => ({ status: 'undoing' }))
  const failed = new Set(many.failed.map(({ id }) => id))
  const left = many.requests.filter(({ id }) => !failed.has(id))
  let undone = 0
  const takeTurns = async (): Promise<void> => {
    for (let request = left.shift(); request !== undefined; request = left.shift()) {
      const isBack = many.did === 'snooze' ? await bringBack(request, lists) : (await undo(request)) === 'undone'
      if (session.who() !== who) return
      if (isBack) undone += 1
    }
  }
  await Promise.all(Array.from({ length: atOnce }, takeTurns))
  if (session.who() !== who) return null
  if (noteFailed(many)) changeMany(many, () => ({ status: 'released' }))
  else endMany(many)
  return undone
}
