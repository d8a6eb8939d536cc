import { type Failure, failed, unavailable } from './failure.ts'
import { at, reasonOf } from './service-url.ts'

export interface RemoteExport {
  readonly url: URL
  readonly token: string
  readonly format: string
  readonly after: string | null
}

/** Requests the export from a running service and returns the bytes as they arrive. */
export async function requestExport({ url, token, format, after }: RemoteExport): Promise<AsyncIterable<Uint8Array>> {
  const target = at(url, '/api/v1/events/export')
  target.searchParams.set('format', format)
  if (after !== null) target.searchParams.set('after', after)
  // Redirects are not followed, because the token is for this address only.
  const options = { headers: { authorization: `Bearer ${token}` }, redirect: 'manual' } as const
  const answer = await fetch(target, options).catch((error: unknown) => {
    throw unavailable(
      'service.unavailable',
      `${url.origin} does not respond: ${reasonOf(error)}.`,
      'Check the address.',
    )
  })
  if (answer.status !== 200 || answer.body === null) throw await refusal(answer, url)
  return answer.body as AsyncIterable<Uint8Array>
}

async function refusal(answer: Response, url: URL): Promise<Failure> {
  const { status, headers } = answer
  if (status >= 300 && status < 400) {
    const where = headers.get('location') ?? 'another address'
    return failed('service.moved', `${url.origin} redirects to ${where}.`, 'Name that address with --url.')
  }
  const problem = await problemOf(answer)
  if (problem === null) {
    return failed(
      'service.unknown',
      `${url.origin} replied ${status} in a form that no HITL service uses.`,
      'Check --url.',
    )
  }
  const { code, detail } = problem
  if (status === 429 || status >= 500) {
    const seconds = headers.get('retry-after')
    return unavailable(code, detail, seconds === null ? 'Try again later.' : `Try again in ${seconds} s.`)
  }
  const next = status === 401 ? 'Sign in again for a new token: they live for minutes.' : undefined
  return failed(code, detail, next)
}

async function problemOf(answer: Response): Promise<{ readonly code: string; readonly detail: string } | null> {
  try {
    const { code, detail } = (await answer.json()) as { code?: unknown; detail?: unknown }
    return typeof code === 'string' && typeof detail === 'string' ? { code, detail } : null
  } catch {
    return null
  }
}
