import type { FastifyRequest } from 'fastify'
import { refusal } from '../platform/problem.ts'

export const crossSite = refusal(
  403,
  'auth.cross_site',
  'This call came from a page that is not part of this installation. Open the service itself; other pages sign in without session_cookie and use the bearer token.',
)

/** Throws 403 unless the browser says that a page of ours makes this call. */
export type RequireSameSite = (request: FastifyRequest) => void

/**
 * The check for calls whose credential is a cookie, which a browser sends along whoever made the page that calls. Both
 * headers are the browser's own: no page can set them. Sec-Fetch-Site says how the page stands to us; browsers leave it out
 * over plain HTTP, where Origin tells. When neither header vouches for the page, the call is refused: so are pages of
 * CORS_ORIGINS, whose calls browsers make without cookies as long as CORS allows no credentials (server.ts), and every client
 * that is no browser. Both have bearer tokens to use.
 */
export function createSameSiteCheck(publicUrl: string): RequireSameSite {
  const own = new URL(publicUrl).origin
  return ({ headers }) => {
    const { origin } = headers
    const site = headers['sec-fetch-site']
    if (origin === own) {
      // `none` is a person's own doing, such as a typed address: never a page that calls.
      if (site !== 'none') return
    } else if (site === 'same-origin') return
    throw crossSite()
  }
}
