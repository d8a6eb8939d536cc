import { type Cookie, createCookie } from '../../../http/cookies.ts'
import { invalid } from '../../../platform/problem.ts'
import { hashSecretToken, isSecretToken, newSecretToken } from '../../secret-token.ts'

/** A sign-in (or the linking of an account) that is under way at a provider. Lives minutes, ends with the first answer. */
export interface Flow {
  readonly organizationId: string
  readonly id: string
  readonly providerId: string
  /** Null for a sign-in; otherwise the member who is linking the identity. */
  readonly userId: string | null
  /** The session that links the identity; for a sign-in, the one that this browser had when it began. */
  readonly sessionId: string | null
  /** A path of this service, where the person goes afterwards. */
  readonly returnTo: string
  readonly expiresAt: Date
  readonly createdAt: Date
}

/** Known only to the provider; sealed while the person is there. */
export interface FlowSecrets {
  readonly nonce: string
  readonly verifier: string
}

export const flowMinutes = 10

/**
 * The cookie that ties a flow to the browser that began it: a browser that is sent another person's answer (login CSRF, a stolen
 * code) has a different value. `Lax`, because the answer is a navigation from the provider's site.
 */
export function createFlowCookie(publicUrl: string): Cookie {
  return createCookie(publicUrl, 'hitl_sso', 'Lax')
}

/** Tabs share a mark, which therefore outlives the first of their answers; one that is not ours is replaced. */
export function markFor(given: string | undefined): string {
  return isSecretToken(given) ? given : newSecretToken()
}

/** What the page that asked adds to its link: other pages cannot know it, because it depends on the cookie. */
export function confirmationOf(mark: string): string {
  return hashSecretToken(`confirmed ${mark}`).toString('base64url')
}

/**
 * Throws 422 unless the text is the path of a page of this service: an open redirect would lend our name to any page, and a
 * redirect to the API would reach the start of another provider as if a person had pressed a link of ours. Such a page's path
 * begins with a plain name: the router also knows `/%61pi`, and a proxy may know `/hitl//api`.
 */
export function checkReturnTo(path: string, publicUrl: string): string {
  const { origin, pathname: base } = new URL(`${publicUrl}/`)
  // Two slashes, or a backslash that browsers read as one, name another host. A second look catches what the first misses.
  const isPath = /^\/(?![/\\])[\x21-\x7e]*$/.test(path) && !path.includes('\\')
  if (isPath && path.length <= 500 && URL.canParse(path, origin)) {
    const { origin: at, pathname, search, hash } = new URL(path, origin)
    // "/..//host" becomes "//host" on the way.
    const isPage = pathname.startsWith(base) && !/^(?:\/|api(?:\/|$)|[^/]*%)/.test(pathname.slice(base.length))
    if (at === origin && isPage) return `${pathname}${search}${hash}`
  }
  throw invalid('return_to', `must be the path of a page of this service, such as ${base}inbox`)
}
