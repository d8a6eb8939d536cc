/** The headers of replies that programs read, as `components.headers`. */
export const replyHeaders = {
  'X-Request-Id': header('The id of this call, also in the log: yours, if you sent one.'),
  RateLimit: header('What is left of the limit and the seconds until it is whole again, as `"person";r=299;t=60`.'),
  'RateLimit-Policy': header('The limit that this call counts towards, as `"person";q=300;w=60`.'),
  'Retry-After': header('Seconds to wait before the next try.', { type: 'integer' }),
  'WWW-Authenticate': header('The credential that is needed (RFC 6750).'),
  Allow: header('The methods that are possible here.'),
  Location: header('Where the new item is.'),
  ETag: header('Names this state of what was asked for; send it as `If-None-Match` the next time.'),
  'Idempotency-Replayed': header('`true` when an earlier call with this Idempotency-Key did the work.'),
  'API-Key-Expires': header('When the API key of this call expires, once that is near (an HTTP-date).'),
  'Set-Cookie': header('The cookie that renews the session; only to clients that asked for one.'),
  'Content-Disposition': header('The name of the file.'),
  'Accept-Ranges': header('`bytes`: parts can be asked for with Range.'),
  'Content-Range': header('Which part this is, as `bytes 0-1023/4096`; of a part that is not there, `bytes */4096`.'),
} as const

function header(description: string, schema: object = { type: 'string' }) {
  return { description, schema }
}

export type ReplyHeader = keyof typeof replyHeaders

/** The `headers` of a response, to be replaced by references. Names that are not described here are of no use to programs. */
export function headersNamed(...names: readonly string[]): Record<string, object> {
  const wanted = new Set(names.map((name) => name.toLowerCase()))
  const known = Object.entries(replyHeaders).filter(([name]) => wanted.has(name.toLowerCase()))
  return Object.fromEntries(known.map(([name, { schema }]) => [name, schema]))
}
