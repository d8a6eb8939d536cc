import type { FastifyRequest } from 'fastify'
import { refusal } from '../platform/problem.ts'

export const crossSite = refusal(
  403,
  'auth.cross_site',
  'This call came from a page that is not part of this installation. Open the service itself; other pages sign in without session_cookie and use the bearer token.',
)

/** Throws 403 unless the browser vouches that one of our own pages makes this call. */
export type RequireSameSite = (request: FastifyRequest) => void

/**
 * The check for calls whose credential is a cookie, which a browser attaches no matter which page makes the call. Both
 * headers are set by the browser, and no page can set them. Sec-Fetch-Site gives the page's relation to us; browsers leave it
 * out over plain HTTP, where Origin serves instead. When neither header vouches for the page, the call is refused. That also
 * refuses pages of CORS_ORIGINS, whose calls carry no cookies because CORS allows no credentials (server.ts), and every
 * client that is not a browser. Both can use bearer tokens.
 */
export function createSameSiteCheck(publicUrl: string): RequireSameSite {
  const own = new URL(publicUrl).origin
  return ({ headers }) => {
    const { origin } = headers
    const site = headers['sec-fetch-site']
    if (origin === own) {
      // `none` means that a person acted, for example typed the address: no page made the call.
      if (site !== 'none') return
    } else if (site === 'same-origin') return
    throw crossSite()
  }
}
