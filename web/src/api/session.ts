import createClient from 'openapi-fetch'
import { signWithPasskey } from './passkeys.ts'
import { publicPath } from './public-path.ts'
import { granted, isRefused } from './refused.ts'
import type { components, paths } from './schema.gen.ts'

/**
 * A session is a cookie that no script can read, and with it a short access token, which is in memory alone: another tab, or
 * this one after it was loaded again, gets its own by the cookie.
 */
export type User = components['schemas']['User']
type AccessToken = components['schemas']['AccessToken']

export type SessionState =
  | { readonly status: 'starting' | 'signed-out' }
  | {
      readonly status: 'signed-in'
      readonly user: User
      /** When what is shown was read, as long as the service has not answered since the page was loaded; null once it has. */
      readonly seenAt: number | null
    }

let state: SessionState = { status: 'starting' }
let token: { readonly value: string; readonly renewAt: number } | null = null
const listeners = new Set<() => void>()

/** Before the token ends, so that no call under way meets its end. */
const renewedBeforeMs = 30_000

/** Calls of people who are not signed in. */
export const anyone = createClient<paths>({ baseUrl: publicPath })

function become(next: SessionState): void {
  state = next
  for (const listener of listeners) listener()
}

function accept({ access_token, expires_in, user }: AccessToken): void {
  token = { value: access_token, renewAt: Date.now() + Math.max(1_000, expires_in * 1_000 - renewedBeforeMs) }
  become({ status: 'signed-in', user: user as User, seenAt: null })
}

/** Nothing answers: the person who was signed in last, with what they saw then. Every call asks for their session first. */
export function resume(user: User, seenAt: number): void {
  if (state.status === 'starting') become({ status: 'signed-in', user, seenAt })
}

/** What a person changed of themselves. */
export function rememberUser(user: User): void {
  if (state.status === 'signed-in') become({ ...state, user })
}

export const session = {
  get: (): SessionState => state,
  /** Who it is, and where: a person has another id in each organization. Null: nobody. */
  who: (): string | null => (state.status === 'signed-in' ? state.user.id : null),
  seenAt: (): number | null => (state.status === 'signed-in' ? state.seenAt : null),
  subscribe: (listener: () => void): (() => void) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
}

let renewal: Promise<boolean> | null = null

/** False when there is no session any more. One at a time over all tabs, because each use replaces the cookie. */
function renew(): Promise<boolean> {
  renewal ??= exclusively(async () => {
    try {
      accept(await granted(anyone.POST('/api/v1/auth/refresh')))
      return true
    } catch (error) {
      if (!isRefused(error) || error.status >= 500 || error.status === 429) throw error
      signedOut()
      return false
    }
  }).finally(() => {
    renewal = null
  })
  return renewal
}

/** Over plain HTTP a browser has no locks; then tabs that renew at the same moment may lose their session. */
const exclusively = <T>(act: () => Promise<T>): Promise<T> =>
  'locks' in navigator ? (navigator.locks.request(`hitl-session${publicPath}`, act) as Promise<T>) : act()

/** Once, before the first page: whether the browser still has a session. */
export async function startSession(): Promise<void> {
  if (state.status === 'starting') await renew()
}

/**
 * `fetch` with the access token, which is renewed when it is about to end or no longer taken. `withinMs`: how long a reply may
 * take.
 */
export async function fetchSignedIn(request: Request, withinMs?: number): Promise<Response> {
  if (token === null || token.renewAt < Date.now()) await renew()
  const send = (one: Request): Promise<Response> =>
    fetch(authorized(one), withinMs === undefined ? {} : { signal: AbortSignal.timeout(withinMs) })
  const again = request.clone()
  const reply = await send(request)
  if (reply.status !== 401 || !(await renew())) return reply
  return send(again)
}

function authorized(request: Request): Request {
  if (token !== null) request.headers.set('authorization', `Bearer ${token.value}`)
  return request
}

const accepted = async (call: Parameters<typeof granted<AccessToken>>[0]): Promise<void> => accept(await granted(call))

export async function signIn(email: string, password: string): Promise<void> {
  const body = { username: email, password, session_cookie: true }
  const bodySerializer = (given: unknown): string => JSON.stringify(given)
  const headers = { 'content-type': 'application/json' }
  await accepted(anyone.POST('/api/v1/auth/login', { body, bodySerializer, headers }))
}

/** The second step of a sign-in, with a code of an app or a recovery code. */
export async function signInWithCode(challenge: string, method: 'totp' | 'recovery_code', code: string): Promise<void> {
  const body = { challenge, method, code, session_cookie: true }
  await accepted(anyone.POST('/api/v1/auth/login/second-factor', { body }))
}

/** With a passkey: instead of address and password, or as the second step of the sign-in that a challenge stands for. */
export async function signInWithPasskey(challenge: string | null): Promise<void> {
  const options = await granted(
    anyone.POST('/api/v1/auth/login/passkey/options', { body: challenge === null ? {} : { challenge } }),
  )
  const assertion = await signWithPasskey(options)
  await accepted(
    challenge === null
      ? anyone.POST('/api/v1/auth/login/passkey', { body: { assertion, session_cookie: true } })
      : anyone.POST('/api/v1/auth/login/second-factor', {
          body: { challenge, method: 'passkey', assertion, session_cookie: true },
        }),
  )
}

/** Goes on as a member of another organization. What was loaded for the one before is of no use there. */
export async function switchOrganization(organizationId: string): Promise<void> {
  const body = { organization_id: organizationId }
  const authorization = `Bearer ${token?.value ?? ''}`
  await accepted(anyone.POST('/api/v1/auth/switch', { body, headers: { authorization } }))
}

let erase = async (): Promise<void> => undefined

/** What a sign-out does first, whether the service answers or not. */
export function beforeSignOut(act: () => Promise<void>): void {
  erase = act
}

export async function signOut(): Promise<void> {
  await erase().catch(() => undefined)
  await granted(anyone.POST('/api/v1/auth/logout'))
  signedOut()
}

/** The session is over, as the service says, or because what was done ended it. */
export function signedOut(): void {
  token = null
  become({ status: 'signed-out' })
}
