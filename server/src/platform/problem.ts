/** One wrong field of a request body, query or path: `path` is a JSON Pointer-like dotted path, `message` a sentence part. */
export interface FieldError {
  readonly path: string
  readonly message: string
  /** RFC 6901, from the body's root: where names in the path may have dots in them. */
  readonly pointer?: string
}

/** What a refusal says beside its code. */
interface Said {
  readonly detail: string
  readonly errors?: readonly FieldError[]
  readonly headers?: Readonly<Record<string, string>>
  readonly extra?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/**
 * A refusal that the caller gets as RFC 9457 problem+json. `detail` is a sentence that says what to do next, `code` a
 * stable identifier for programs. Everything else that is thrown becomes a 500 whose cause stays in the log.
 */
export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly errors: readonly FieldError[] | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly extra: Readonly<Record<string, unknown>>

  constructor(status: number, code: string, detail: string, more: Omit<Said, 'detail'> = {}) {
    const { errors, headers = {}, extra = {}, cause } = more
    super(detail, { cause })
    this.name = 'Problem'
    this.status = status
    this.code = code
    this.errors = errors
    this.headers = headers
    this.extra = extra
  }
}

/** A refusal, written once beside its rule: thrown as `throw legalHold()`, listed by a route as `problems(legalHold)`. */
export interface Refusal<Args extends readonly unknown[] = readonly []> {
  (...args: Args): Problem
  readonly status: number
  readonly code: string
  /** For the OpenAPI document: made from the example arguments. */
  readonly example: Problem
  /** The same refusal with other arguments in its example. */
  saying(...args: Args): AnyRefusal
}

/** A refusal of any arguments: all that the documents need. */
export type AnyRefusal = Pick<Refusal, 'status' | 'code' | 'example'>

const known = new Map<string, AnyRefusal>()

/** Every refusal of the modules that are loaded, by code: the list that programs switch on is made from it. */
export function refusals(): readonly AnyRefusal[] {
  return [...known.values()].sort((a, b) => (a.code < b.code ? -1 : 1))
}

/**
 * @param code stable identifier for programs, `noun.what_is_wrong`; each is defined once
 * @param says the sentence, with what to do next, or a function that makes it from what was refused
 * @param example arguments for the sentence in the documents
 */
export function refusal(status: number, code: string, says: string | Said): Refusal
export function refusal<Args extends readonly unknown[]>(
  status: number,
  code: string,
  says: (...args: Args) => string | Said,
  ...example: NoInfer<Args>
): Refusal<Args>
export function refusal<Args extends readonly unknown[]>(
  status: number,
  code: string,
  says: string | Said | ((...args: Args) => string | Said),
  ...example: Args
): Refusal<Args> {
  if (known.has(code)) throw new Error(`the refusal ${code} is defined twice: keep one and import it`)
  const make = (...args: Args): Problem => {
    const said = typeof says === 'function' ? says(...args) : says
    const { detail, ...more } = typeof said === 'string' ? { detail: said } : said
    return new Problem(status, code, detail, more)
  }
  const saying = (...args: Args): AnyRefusal => ({ status, code, example: make(...args) })
  const made = Object.assign(make, { ...saying(...example), saying })
  known.set(code, made)
  return made
}

/** 422 naming the wrong fields. */
export const invalidFields = refusal(
  422,
  'request.invalid',
  (detail: string, errors: readonly FieldError[]) => ({ detail, errors }),
  'title is required.',
  [{ path: 'title', message: 'is required' }],
)

/** 422 naming the one wrong field. */
export function invalid(path: string, message: string): Problem {
  return invalidFields(`${path || 'body'} ${message}.`, [{ path, message }])
}

/** What was thrown for a part of the body, as its whole has it: a 422 then names its fields from there. */
export function within(path: string, error: unknown): unknown {
  if (!(error instanceof Problem) || error.errors === undefined) return error
  const inner = ({ path: field, message, pointer }: FieldError) => ({
    path: field === '' ? path : `${path}.${field}`,
    message,
    ...(pointer === undefined ? {} : { pointer: `/${path.replaceAll('.', '/')}${pointer}` }),
  })
  const errors = error.errors.map(inner)
  const [first] = errors
  return first === undefined ? error : invalidFields(`${first.path} ${first.message}.`, errors)
}

/** 422 naming all wrong fields; `whole`: how the sentence calls what has no path. */
export function invalidAll(errors: readonly FieldError[], whole = 'The body'): Problem {
  const first = errors[0]
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more: see errors)` : ''
  const sentence = `${first?.path || whole} ${first?.message ?? 'is not valid'}${more}`
  return invalidFields(sentence.endsWith('?') ? sentence : `${sentence}.`, errors)
}

/** 503 with Retry-After: the caller did nothing wrong and should simply try again. */
export const unavailable = refusal(
  503,
  'service.unavailable',
  (detail: string, cause?: unknown) => ({ detail, headers: { 'retry-after': '1' }, cause }),
  'The database is not responding right now. Nothing is lost; try again in a moment.',
)
