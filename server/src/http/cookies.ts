import { publicPath } from './public-path.ts'

/** A cookie that pages of this service alone get and no script can read. */
export interface Cookie {
  /** Undefined when it is missing, or there twice, because then another site set one of them. */
  read(header: string | undefined): string | undefined
  /** For Set-Cookie. */
  written(value: string, seconds: number): string
  cleared(): string
}

/** Plain names of cookies that the documents name. */
export const sessionCookie = 'hitl_session'

/**
 * `__Host-` keeps sub-domains from planting the cookie (RFC 6265bis, 4.1.3.2), but is for the whole host. Where PUBLIC_URL has
 * a path, other services are on this host, which should not be sent our cookie: there it is `__Secure-` and bound to the path.
 */
export function cookieName(publicUrl: string, plainName: string): string {
  return `${publicUrl.startsWith('https:') ? (publicPath(publicUrl) === '' ? '__Host-' : '__Secure-') : ''}${plainName}`
}

export function createCookie(publicUrl: string, plainName: string, sameSite: 'Strict' | 'Lax'): Cookie {
  const path = publicPath(publicUrl)
  const isHttps = publicUrl.startsWith('https:')
  const name = cookieName(publicUrl, plainName)
  const secure = isHttps ? '; Secure' : ''
  const written = (value: string, seconds: number): string =>
    `${name}=${value}; Path=${path === '' ? '/' : path}; Max-Age=${seconds}; HttpOnly; SameSite=${sameSite}${secure}`
  return {
    read: (header) => {
      const values = (header ?? '')
        .split(';')
        .map((pair) => pair.trim())
        .filter((pair) => pair.startsWith(`${name}=`))
        .map((pair) => pair.slice(name.length + 1))
      return values.length === 1 ? values[0] : undefined
    },
    written,
    cleared: () => written('', 0),
  }
}
