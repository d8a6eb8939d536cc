/** For replies that are not pages: nothing is loaded, framed, based or sent anywhere. Pages set their own policy. */
export const noContentPolicy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

const always = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  // Every reply is private unless its route sets something else.
  'cache-control': 'no-store',
  'content-security-policy': noContentPolicy,
  'cross-origin-opener-policy': 'same-origin',
  // Scripts of other origins read replies through CORS, which this does not affect; it stops embedding without CORS.
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()',
} as const

/** The OWASP Secure Headers set. HSTS for two years, subdomains included, once the service is reached over TLS (RFC 6797, ASVS 3.4.1). */
export function securityHeaders(publicUrl: string): Readonly<Record<string, string>> {
  const secure = publicUrl.startsWith('https:')
  return secure ? { ...always, 'strict-transport-security': 'max-age=63072000; includeSubDomains' } : always
}
