import { refusal } from '../platform/problem.ts'

/** Refusals that any route may give. A module's own refusals are beside its rules. */

/** The challenge that RFC 9110, 11.6.1 asks for with each 401. */
export const bearerChallenge = { 'www-authenticate': 'Bearer realm="hitl"' } as const

/** The same where the token or key that was sent is what is wrong (RFC 6750, 3.1). */
export const tokenChallenge = { 'www-authenticate': 'Bearer realm="hitl", error="invalid_token"' } as const

export const unauthenticated = refusal(401, 'auth.invalid', {
  detail: 'The access token or API key is not valid, or no longer valid. Sign in again, or use another key.',
  headers: tokenChallenge,
})

export const forbidden = refusal(
  403,
  'auth.forbidden',
  (needed: string) => `This call needs ${needed}.`,
  'the access token of an administrator: admin or owner',
)

export const bodyTooLarge = refusal(
  413,
  'http.body_too_large',
  (limit: number) => `The body is larger than ${limit} bytes, which is the limit here. Send less at once.`,
  1_048_576,
)

export const overloaded = refusal(503, 'http.overloaded', {
  detail:
    'This service is handling as many bytes as it can at once. Read the replies that you are waiting for, then try again.',
  headers: { 'retry-after': '1' },
})

export const mediaType = refusal(415, 'http.media_type', 'Send the body as application/json.')

export const rateLimited = refusal(
  429,
  'http.rate_limited',
  (whose: string, calls: number, seconds: number, waitSeconds: number) => ({
    detail: `Too many calls ${whose}: ${calls} in ${seconds} s are allowed. Try again in ${waitSeconds} s.`,
    headers: { 'retry-after': String(waitSeconds) },
  }),
  'with this API key',
  1_000,
  60,
  12,
)

export const failed = refusal(500, 'service.failed', (cause?: unknown) => ({
  detail: 'Something went wrong here. Try again; if it keeps happening, report the request_id.',
  cause,
}))

/** A call that cannot be read, or that two readers could understand differently. */
export const badRequest = refusal(
  400,
  'http.bad_request',
  (detail: string) => detail,
  'The address could not be read. Check its percent-encoding.',
)

/** Input that is not an HTTP request at all. */
export const malformed = refusal(
  400,
  'http.malformed',
  (detail?: string) => detail ?? 'This is not a well-formed HTTP request.',
)

export const malformedForm = refusal(
  400,
  'form.malformed',
  (detail: string, cause?: unknown) => ({ detail, cause }),
  'The form is not in UTF-8. Send it in UTF-8.',
)

/** For every path without a route. */
export const notFound = refusal(404, 'http.not_found', 'There is nothing here. See /docs for what there is.')

export const methodNotAllowed = refusal(
  405,
  'http.method_not_allowed',
  (method: string, allow: string) => ({
    detail: `${method} is not possible here, only ${allow}.`,
    headers: { allow },
  }),
  'PUT',
  'GET, HEAD',
)

export const methodUnknown = refusal(
  501,
  'http.method_unknown',
  'No such method is known here. Methods are written in capitals, such as GET and POST.',
)

/** Node reads no more of them. */
export const maxHeaderBytes = 16 * 1024

export const headersTooLarge = refusal(
  431,
  'http.headers_too_large',
  `The headers are larger than ${maxHeaderBytes} bytes. Send fewer.`,
)

export const lateRequest = refusal(408, 'http.request_timeout', 'The request did not arrive in time. Send it again.')
