/** One wrong field of a request body, query or path: `path` is a JSON Pointer-like dotted path, `message` a sentence part. */
export interface FieldError {
  readonly path: string
  readonly message: string
}

/**
 * A refusal that is told to the caller as RFC 9457 problem+json. `detail` is a sentence that says what to do next,
 * `code` a stable word for programs. Everything else that is thrown becomes a 500 whose cause stays in the log.
 */
export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly errors: readonly FieldError[] | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly extra: Readonly<Record<string, unknown>>

  constructor(
    status: number,
    code: string,
    detail: string,
    more: {
      readonly errors?: readonly FieldError[]
      readonly headers?: Readonly<Record<string, string>>
      readonly extra?: Readonly<Record<string, unknown>>
      readonly cause?: unknown
    } = {},
  ) {
    super(detail, { cause: more.cause })
    this.name = 'Problem'
    this.status = status
    this.code = code
    this.errors = more.errors
    this.headers = more.headers ?? {}
    this.extra = more.extra ?? {}
  }
}

/** 422 naming the wrong field. */
export function invalid(path: string, message: string): Problem {
  return new Problem(422, 'request.invalid', `${path || 'body'} ${message}.`, { errors: [{ path, message }] })
}

/** 503 with Retry-After: the caller did nothing wrong and should simply try again. */
export function unavailable(detail: string, cause?: unknown): Problem {
  return new Problem(503, 'service.unavailable', detail, { headers: { 'retry-after': '1' }, cause })
}
