import type { Problem } from './refused.ts'
import type { Schemas } from './schemas.ts'
import { fetchSignedIn } from './session.ts'

/** What a call asks for before the service does it: a proof of the person, for this very call. */
export interface StepUpAsked {
  readonly digest: string
  /** Empty when only another sign-in helps. */
  readonly methods: readonly Schemas['ProofMethod'][]
  /** The service's own sentence. */
  readonly detail: string
}

/** The token of a proof; null when the person would rather not. */
type Ask = (asked: StepUpAsked) => Promise<string | null>

let ask: Ask | null = null

/** The dialog that asks; one at a time. */
export function onStepUp(dialog: Ask): () => void {
  ask = dialog
  return () => {
    ask = null
  }
}

/** `fetch` of the signed-in person. A call that is refused until they prove themselves waits for that, and then goes on. */
export const fetchConfirmed = (request: Request): Promise<Response> => confirmed(request)

/** The same, for what a person waits for. The time in which they prove themselves does not count. */
export const fetchSoon = (request: Request): Promise<Response> => confirmed(request, soonMs)

const soonMs = 10_000

async function confirmed(request: Request, withinMs?: number): Promise<Response> {
  const again = request.clone()
  const reply = await fetchSignedIn(request, withinMs)
  if (reply.status !== 403 || ask === null) return reply
  const problem = (await reply
    .clone()
    .json()
    .catch(() => ({}))) as Partial<Problem>
  if (problem.code !== 'auth.step_up_required' || typeof problem.digest !== 'string') return reply
  const methods = (problem.methods ?? []) as StepUpAsked['methods']
  const token = await ask({ digest: problem.digest, methods, detail: problem.detail ?? '' })
  if (token === null) return reply
  again.headers.set('x-step-up', token)
  return fetchSignedIn(again, withinMs)
}
