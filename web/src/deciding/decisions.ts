import { useSyncExternalStore } from 'react'
import { queryClient } from '../api/query-client.ts'
import { isRefused } from '../api/refused.ts'
import { type Answer, type Request, remember, requestQuery, sendAnswer, takeBack } from '../api/requests.ts'
import { session } from '../api/session.ts'
import { riskOf } from '../design/risk.ts'
import { draftKey, forget } from '../questions/drafts.ts'
import { say } from '../words/say.ts'
import { type Decision, holdSeconds } from './rules.ts'

/** A decision of this page, from the key until it is released or taken back. */
export interface Decided {
  readonly request: Request
  readonly decision: Decision
  readonly status: 'sending' | 'held' | 'released' | 'undoing'
  /** In the time of `performance.now()`, as `heldUntil`. */
  readonly decidedAt: number
  /** When the hold ends. */
  readonly heldUntil: number
  /** The version of the request that the decision made; empty until the service replied. */
  readonly version: string
  /** Settled once the service replied, or did not. */
  readonly reply: Promise<void>
  /** One of many that were decided by one act, which is told and taken back as one. */
  readonly isOfMany: boolean
}

/** Why a decision did not stand, or could not be taken back, told at the request. */
export interface Notice {
  readonly kind: 'answered' | 'own' | 'revised' | 'over' | 'unsent' | 'refused' | 'too_late' | 'not_undone' | 'away'
  readonly id: string
  readonly title: string
  readonly by: string | null
  readonly decision: string | null
  readonly at: string | null
  /** The service's own words, for what has none here. */
  readonly detail: string
}

export interface Decisions {
  readonly decided: ReadonlyMap<string, Decided>
  readonly notices: ReadonlyMap<string, Notice>
  /** The request that was decided last, until its toast is gone. */
  readonly latest: string | null
}

const nothing: Decisions = { decided: new Map(), notices: new Map(), latest: null }
let state = nothing
const listeners = new Set<() => void>()

function become(changes: Partial<Decisions>): void {
  state = { ...state, ...changes }
  for (const listener of listeners) listener()
}

export const decisions = (): Decisions => state

export const useDecisions = (): Decisions =>
  useSyncExternalStore((listener) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }, decisions)

/** Another person does not see them. */
export const forgetDecisions = (): void => become(nothing)

const withEntry = <T>(map: ReadonlyMap<string, T>, id: string, entry: T | null): ReadonlyMap<string, T> => {
  const next = new Map(map)
  if (entry === null) next.delete(id)
  else next.set(id, entry)
  return next
}

const setDecided = (id: string, entry: Decided | null): void => become({ decided: withEntry(state.decided, id, entry) })
const setNotice = (id: string, notice: Notice | null): void => become({ notices: withEntry(state.notices, id, notice) })

/** A reply that is lost is asked for again under the same key, which decides nothing twice. */
const tries = 3
const retryMs = 600

export async function sent<T>(send: (key: string) => Promise<T>): Promise<T> {
  const key = crypto.getRandomValues(new Uint32Array(4)).join('-')
  for (let turn = 1; ; turn += 1) {
    try {
      return await send(key)
    } catch (error) {
      if (isRefused(error) || turn === tries) throw error
      await new Promise((resolve) => setTimeout(resolve, retryMs * turn))
    }
  }
}

/** One decision at a time: a second press, or the second click of a double click, is about the same one. */
export const isUnderWay = (id: string): boolean => {
  const entry = state.decided.get(id)
  return entry !== undefined && entry.status !== 'released'
}

/** Whether a list need not show it any more: it was decided here, and nothing happened to it since. */
export const isSettled = (entry: Decided | undefined, { updated_at }: Request): boolean =>
  entry !== undefined && (entry.version === '' || updated_at <= entry.version)

/** Nothing is kept to be sent later, behind the person's back. */
export const refuseAway = ({ id, title }: Request): void =>
  setNotice(id, { kind: 'away', id, title, by: null, decision: null, at: null, detail: say('app.offline') })

/** Told at the request, and beside the page, as a decision that did not stand: another act was refused, and this is why. */
export function refuseAs({ id, title }: Request, detail: string): void {
  setNotice(id, { kind: 'refused', id, title, by: null, decision: null, at: null, detail })
  become({ latest: id })
}

/** Decides about the request as it was painted. It leaves the list at once, and comes back if the service refuses. */
export async function decide(
  request: Request,
  decision: Decision,
  more: Partial<Answer> = {},
  byStepUp = false,
): Promise<void> {
  const { id, revision } = request
  if (isUnderWay(id)) return
  const { promise: reply, resolve: replied } = Promise.withResolvers<void>()
  const entry = begun(request, decision, reply, false)
  become({
    decided: withEntry(state.decided, id, entry),
    notices: withEntry(state.notices, id, null),
    latest: id,
  })
  const who = session.who()
  try {
    const hold_seconds = holdSeconds[riskOf(request.risk)]
    const decided = decision === 'answer' ? {} : { decision }
    const answer = { ...decided, revision, hold_seconds, ...more }
    const after = (await sent((key) => sendAnswer(id, answer, key, byStepUp))) as Request
    if (session.who() === who) settle(entry, after)
  } catch (error) {
    if (session.who() === who) await refuse(entry, error)
  } finally {
    replied()
  }
}

const begun = (request: Request, decision: Decision, reply: Promise<void>, isOfMany: boolean): Decided => ({
  request,
  decision,
  status: 'sending',
  decidedAt: performance.now(),
  heldUntil: Number.POSITIVE_INFINITY,
  version: '',
  reply,
  isOfMany,
})

/** Many that leave the list at once. Whoever begins them sends them, and settles or refuses each. */
export function beginTogether(
  requests: readonly Request[],
  decision: Decision,
  reply: Promise<void>,
): readonly Decided[] {
  const entries = requests.map((request) => begun(request, decision, reply, true))
  const decided = new Map(state.decided)
  const notices = new Map(state.notices)
  for (const entry of entries) {
    decided.set(entry.request.id, entry)
    notices.delete(entry.request.id)
  }
  become({ decided, notices, latest: null })
  return entries
}

/** The decision as the service has it, and the end of its hold. */
export function settle(entry: Decided, after: Request): void {
  const { id } = entry.request
  const { held_until, responded_at, updated_at } = after
  remember(after)
  // From when it was asked, so that no time to undo is shown that the service may no longer give.
  const heldMs = held_until === null || responded_at === null ? 0 : Date.parse(held_until) - Date.parse(responded_at)
  const heldUntil = entry.decidedAt + heldMs
  const isHeld = heldMs > 0
  setDecided(id, { ...entry, status: isHeld ? 'held' : 'released', heldUntil, version: updated_at })
  if (isHeld) setTimeout(() => release(id, heldUntil), Math.max(0, heldUntil - performance.now()))
  else forget(draftKey(entry.request))
}

/** Tells why at the request, which is back, unless it was this person who was first. */
export async function refuse(entry: Decided, error: unknown): Promise<void> {
  const { request } = entry
  const notice = noticeOf(request, error)
  // The person was first themselves, in another tab or by a press whose reply was lost: that decision stands, and can be undone.
  const who = session.who()
  const own = notice.kind === 'own' ? await readAgain(request.id) : null
  if (session.who() !== who) return
  if (own === null) {
    setDecided(request.id, null)
    putBack(entry, notice)
    return
  }
  const { held_until, responded_at, response } = own
  const leftMs = held_until === null ? 0 : Date.parse(held_until) - Date.now()
  const wholeMs = held_until === null ? 0 : Date.parse(held_until) - Date.parse(responded_at ?? held_until)
  const decidedAt = performance.now() - Math.max(0, wholeMs - leftMs)
  settle({ ...entry, decision: (response?.decision ?? 'answer') as Decision, decidedAt }, own)
  putBack(entry, notice)
}

/** As the service has it now; null when it cannot say. */
async function readAgain(id: string): Promise<Request | null> {
  try {
    return (await queryClient.fetchQuery({ ...requestQuery(id), staleTime: 0 })) as Request
  } catch {
    return null
  }
}

/** A hold that was taken back, and another one that began since, are not ended by the timer of the first. */
function release(id: string, heldUntil: number): void {
  const entry = state.decided.get(id)
  if (entry?.status !== 'held' || entry.heldUntil !== heldUntil) return
  setDecided(id, { ...entry, status: 'released' })
  forget(draftKey(entry.request))
}

function putBack({ request, isOfMany }: Decided, notice: Notice): void {
  setNotice(request.id, notice)
  if (!isOfMany) become({ latest: request.id })
  void queryClient.invalidateQueries({ queryKey: ['request', request.id] })
  void queryClient.invalidateQueries({ queryKey: ['counts'] })
}

const kinds: Readonly<Record<string, Notice['kind']>> = {
  'consultation.already_responded': 'answered',
  'consultation.revision_changed': 'revised',
  'consultation.already_timeout': 'over',
  'consultation.already_cancelled': 'over',
  'consultation.already_released': 'too_late',
}

function noticeOf({ id, title }: Request, error: unknown): Notice {
  const none = { by: null, decision: null, at: null }
  if (!isRefused(error)) return { kind: 'unsent', id, title, ...none, detail: '' }
  const { responded_by, decision, responded_at } = error.problem as Readonly<Record<string, string | null>>
  const kind = kinds[error.code] ?? 'refused'
  return {
    kind: kind === 'answered' && responded_by != null && responded_by === session.who() ? 'own' : kind,
    id,
    title,
    by: responded_by ?? null,
    decision: decision ?? null,
    at: responded_at ?? null,
    detail: error.message,
  }
}

/** The decision that the toast tells about: the latest one, and once it is released, one that can still be taken back. */
export function shownDecision({ decided, notices, latest }: Decisions): Decided | null {
  const last = latest === null ? undefined : decided.get(latest)
  if (last !== undefined && last.status !== 'released') return last
  if (last === undefined && latest !== null && notices.has(latest)) return null
  const held = [...decided.values()].filter(
    ({ status, isOfMany }) => !isOfMany && (status === 'held' || status === 'sending'),
  )
  return held.toSorted((one, other) => other.decidedAt - one.decidedAt)[0] ?? last ?? null
}

/** What `z` takes back: what the toast shows, while its hold is not over. */
export function undoable(): Decided | null {
  const shown = shownDecision(state)
  return shown?.status === 'held' || shown?.status === 'sending' ? shown : null
}

export type Undone = 'undone' | 'too_late' | 'not_undone'

/**
 * Takes a held decision back; null when there is nothing to tell, because it never stood or is being taken back already. One
 * that is on its way is taken back once it has arrived.
 */
export async function undo(request: Request): Promise<Undone | null> {
  const { id } = request
  const who = session.who()
  await state.decided.get(id)?.reply
  const entry = state.decided.get(id)
  if (session.who() !== who || (entry !== undefined && entry.status !== 'held')) return null
  const set = (next: Decided | null): void => {
    if (entry !== undefined) setDecided(id, next)
  }
  set(entry === undefined ? null : { ...entry, status: 'undoing' })
  setNotice(id, null)
  const isOpenAgain = (): Undone => {
    set(null)
    if (state.latest === id) become({ latest: null })
    void queryClient.invalidateQueries({ queryKey: ['counts'] })
    return 'undone'
  }
  try {
    const after = (await takeBack(id)) as Request
    if (session.who() !== who) return null
    remember(after)
    return isOpenAgain()
  } catch (error) {
    if (session.who() !== who) return null
    // An earlier try arrived, and its reply was lost; or it was done in another tab.
    if (isRefused(error) && error.code === 'consultation.nothing_to_undo' && (await readAgain(id)) !== null) {
      return isOpenAgain()
    }
    const notice = noticeOf(request, error)
    const isOver = notice.kind === 'too_late'
    if (entry !== undefined) {
      set({ ...entry, status: isOver || entry.heldUntil <= performance.now() ? 'released' : 'held' })
    }
    setNotice(id, isRefused(error) ? notice : { ...notice, kind: 'not_undone' })
    return isOver ? 'too_late' : 'not_undone'
  }
}

export const dismiss = (id: string): void => {
  setNotice(id, null)
  if (state.latest === id) become({ latest: null })
}
