import type { FastifyRequest } from 'fastify'
import { Problem } from '../platform/problem.ts'

/** Throws 403 unless the browser says that a page of ours makes this call. */
export type RequireSameSite = (request: FastifyRequest) => void

/**
 * The check for calls whose credential is a cookie, which a browser sends along whoever made the page that calls. Both
 * headers are the browser's own: no page can set them. Sec-Fetch-Site says how the page stands to us; browsers leave it out
 * over plain HTTP, where Origin tells. A page of CORS_ORIGINS is another origin, and allowed by name (never by `*`). When
 * neither header vouches for the page, the call is refused: so is every client that is no browser, which has tokens to use.
 */
export function createSameSiteCheck(publicUrl: string, corsOrigins: readonly string[]): RequireSameSite {
  const own = new Set([new URL(publicUrl).origin, ...corsOrigins.filter((origin) => origin !== '*')])
  return ({ headers }) => {
    const { origin } = headers
    const site = headers['sec-fetch-site']
    if (origin !== undefined && own.has(origin)) {
      // `none` is a person's own doing, such as a typed address: never a page that calls.
      if (site !== 'none') return
    } else if (site === 'same-origin') return
    throw new Problem(
      403,
      'auth.cross_site',
      'This call came from a page that is not part of this installation. Open the service itself, or add the page to CORS_ORIGINS.',
    )
  }
}
