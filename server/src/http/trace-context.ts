import type { FastifyRequest } from 'fastify'

/** W3C Trace Context: version, trace id, parent id and flags; later versions may add fields. */
const form = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{1,100})?$/

/** The call's `traceparent`; null without one. One that is malformed is ignored, as the standard asks (W3C Trace Context, 3.3). */
export function traceparentOf({ headers }: Pick<FastifyRequest, 'headers'>): string | null {
  const { traceparent } = headers
  if (typeof traceparent !== 'string' || !form.test(traceparent)) return null
  // Version 00 has no more fields.
  return traceparent.startsWith('00') && traceparent.length !== 55 ? null : traceparent
}

/** What log lines of one trace have in common; undefined is left out of a line. */
export function traceIdOf(traceparent: string | null): string | undefined {
  return traceparent?.split('-')[1]
}
