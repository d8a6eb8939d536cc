import type { Given, Option } from './command.ts'
import { type Failure, failed, unavailable, usage } from './failure.ts'
import { at, reasonOf, remedyFor, serviceUrl } from './service-url.ts'

/** A running service, and a person's access token for it. */
export interface RemoteService {
  readonly url: URL
  readonly token: string
}

export const tokenOptions: readonly Option[] = [
  { name: 'token', value: 'TOKEN', about: "A person's access token, for --url. Better: HITL_TOKEN." },
  { name: 'allow-http', about: 'Allow plain http to another machine in --url.' },
]

/** The service at `address`. `purpose` completes "a person who ...". */
export function remoteService(given: Given, address: string, purpose: string): RemoteService {
  const url = serviceUrl('url', address, given.has('allow-http'))
  const token = given.text('token') ?? process.env.HITL_TOKEN ?? ''
  if (token === '') {
    throw usage(
      `--url needs the access token of a person who ${purpose}.`,
      'Give it in HITL_TOKEN; docs/cli.md explains how to get one.',
    )
  }
  if (!/^[\w.~+/=-]+$/.test(token)) throw usage('That is not an access token: it has characters that no token has.')
  return { url, token }
}

export interface RemoteCall {
  readonly path: string
  readonly query?: Readonly<Record<string, string | null>>
  readonly body?: unknown
}

/** The reply to a call that the service accepted. Throws a Failure that says what to do for any other. */
export async function callService(
  { url, token }: RemoteService,
  { path, query = {}, body }: RemoteCall,
): Promise<Response> {
  const target = at(url, path)
  for (const [name, value] of Object.entries(query)) if (value !== null) target.searchParams.set(name, value)
  const sent =
    body === undefined
      ? {}
      : { method: 'POST', body: JSON.stringify(body), type: { 'content-type': 'application/json' } }
  const { type = {}, ...rest } = sent
  // Redirects are not followed, because the token is for this address only.
  const options = { ...rest, headers: { authorization: `Bearer ${token}`, ...type }, redirect: 'manual' } as const
  const reply = await fetch(target, options).catch((error: unknown) => {
    throw unavailable('service.unavailable', `${url.origin} does not respond: ${reasonOf(error)}.`, remedyFor(error))
  })
  if (reply.status < 200 || reply.status > 299) throw await refusal(reply, url)
  return reply
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
