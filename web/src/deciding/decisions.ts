import { useSyncExternalStore } from 'react'
import { queryClient } from '../api/query-client.ts'
import { isRefused, type Refused } from '../api/refused.ts'
import { type Answer, type Request, remember, sendAnswer, takeBack } from '../api/requests.ts'
import { riskOf } from '../design/risk.ts'
import { draftKey, forget } from '../questions/drafts.ts'
import { type Decision, holdSeconds } from './rules.ts'

/** A decision of this page, from the key until it is released or taken back. */
export interface Decided {
  readonly request: Request
  readonly decision: Decision
  readonly status: 'sending' | 'held' | 'released' | 'undoing'
  /** In the time of `performance.now()`: when the hold ends. */
  readonly heldUntil: number
}

/** Why a decision did not stand, told at the request that is back. */
export interface Notice {
  readonly kind: 'answered' | 'revised' | 'over' | 'unsent' | 'refused' | 'too_late'
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
  /** The one that the toast tells about. */
  readonly latest: string | null
}

let state: Decisions = { decided: new Map(), notices: new Map(), latest: null }
const listeners = new Set<() => void>()

function become(changes: Partial<Decisions>): void {
  state = { ...state, ...changes }
  for (const listener of listeners) listener()
}

export const useDecisions = (): Decisions =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => state,
  )

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

async function sent(id: string, answer: Answer, byStepUp: boolean): Promise<Request> {
  const key = crypto.getRandomValues(new Uint32Array(4)).join('-')
  for (let turn = 1; ; turn += 1) {
    try {
      return (await sendAnswer(id, answer, key, byStepUp)) as Request
    } catch (error) {
      if (isRefused(error) || turn === tries) throw error
      await new Promise((resolve) => setTimeout(resolve, retryMs * turn))
    }
  }
}

/** Decides about the request as it was painted. It leaves the list at once, and comes back if the service refuses. */
export async function decide(
  request: Request,
  decision: Decision,
  more: Partial<Answer> = {},
  byStepUp = false,
): Promise<void> {
  const { id, revision } = request
  const hold_seconds = holdSeconds[riskOf(request.risk)]
  const askedAt = performance.now()
  const entry = { request, decision, heldUntil: Number.POSITIVE_INFINITY }
  become({
    decided: withEntry(state.decided, id, { ...entry, status: 'sending' }),
    notices: withEntry(state.notices, id, null),
    latest: id,
  })
  try {
    const decided = decision === 'answer' ? {} : { decision }
    const after = await sent(id, { ...decided, revision, hold_seconds, ...more }, byStepUp)
    remember(after)
    // From when it was asked, so that no time to undo is shown that the service may no longer give.
    const heldMs =
      after.held_until === null || after.responded_at === null
        ? 0
        : Date.parse(after.held_until) - Date.parse(after.responded_at)
    setDecided(id, { ...entry, status: heldMs > 0 ? 'held' : 'released', heldUntil: askedAt + heldMs })
    setTimeout(() => release(id), Math.max(0, askedAt + heldMs - performance.now()))
  } catch (error) {
    setDecided(id, null)
    putBack(request, noticeOf(request, error))
  }
}

function release(id: string): void {
  const entry = state.decided.get(id)
  if (entry?.status !== 'held') return
  setDecided(id, { ...entry, status: 'released' })
  forget(draftKey(entry.request))
}

function putBack(request: Request, notice: Notice): void {
  setNotice(request.id, notice)
  become({ latest: request.id })
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
  return {
    kind: kinds[error.code] ?? 'refused',
    id,
    title,
    by: responded_by ?? null,
    decision: decision ?? null,
    at: responded_at ?? null,
    detail: (error as Refused).message,
  }
}

/** What `z` takes back: the latest decision whose hold is not over. */
export function undoable(): Decided | null {
  const held = [...state.decided.values()].filter(({ status }) => status === 'held')
  return held.toSorted((one, other) => other.heldUntil - one.heldUntil)[0] ?? null
}

/** Takes a held decision back. Returns whether the request is open again. */
export async function undo({ request }: Decided): Promise<boolean> {
  const { id } = request
  const entry = state.decided.get(id)
  if (entry?.status !== 'held') return false
  setDecided(id, { ...entry, status: 'undoing' })
  try {
    remember((await takeBack(id)) as Request)
    setDecided(id, null)
    become({ latest: null })
    void queryClient.invalidateQueries({ queryKey: ['counts'] })
    return true
  } catch (error) {
    setDecided(id, { ...entry, status: 'released' })
    setNotice(id, { ...noticeOf(request, error), kind: isRefused(error) ? 'too_late' : 'unsent' })
    return false
  }
}

export const dismiss = (id: string): void => {
  setNotice(id, null)
  if (state.latest === id) become({ latest: null })
}
