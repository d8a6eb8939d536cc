/** For replies that are no page: nothing is loaded, framed, based or sent anywhere. Pages bring a policy of their own. */
export const noContentPolicy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

const always = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  // Everything is somebody's, unless a route says otherwise.
  'cache-control': 'no-store',
  'content-security-policy': noContentPolicy,
  'cross-origin-opener-policy': 'same-origin',
  // Scripts of other origins read replies by CORS, which this does not touch; embedding without asking is what it ends.
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()',
} as const

/** The OWASP Secure Headers set. Two years and all names below, once the service is reached by TLS (RFC 6797, ASVS 3.4.1). */
export function securityHeaders(publicUrl: string): Readonly<Record<string, string>> {
  const secure = publicUrl.startsWith('https:')
  return secure ? { ...always, 'strict-transport-security': 'max-age=63072000; includeSubDomains' } : always
}
