import type { Dispatcher } from 'undici'
import { createReplyExcerpt, parseRetryAfter } from './reply-excerpt.ts'
import { describeError, isResetBeforeStatus, type PostError, type Stage, stopped } from './transport-errors.ts'

/** An attempt succeeded when `error` is null and `status` is 2xx; a status beside an error is only informative. */
export interface PostResult {
  /** null when no final status line arrived */
  readonly status: number | null
  readonly durationMs: number
  /** the first 1 000 characters of the reply, storable as PostgreSQL text; '' when there is none */
  readonly reply: string
  /** 0 or more */
  readonly retryAfterSeconds: number | null
  readonly error: PostError | null
}

/** The result of an attempt that ended before anything was sent. */
export function notSent<E>(error: E) {
  return { status: null, durationMs: 0, reply: '', retryAfterSeconds: null, error } as const
}

/** What an attempt is made with. */
export interface AttemptMeans {
  /** The target's name in messages, as in `TargetRules`. */
  readonly what: string
  readonly timeoutMs: number
  readonly now: () => number
  readonly isTls: boolean
  /** Sends on a kept or new connection of the origin's pool. */
  readonly send: Dispatcher['dispatch']
  /** Sends on a new connection that is used once. */
  readonly sendOnNewConnection: Dispatcher['dispatch']
  readonly endedReusedConnection: (error: Error) => boolean
}

const replyBytesRead = 64 * 1024
const tooLate: Readonly<Record<Stage, string>> = {
  connecting: 'No connection was made',
  'awaiting status': 'No reply came',
  'reading body': 'The reply was not complete',
}
const abandoned = new Error('The attempt is over.')

/**
 * Makes one attempt: sends the request, reads the status and at most 64 KiB of the reply, keeps to the deadline.
 *
 * - A reply longer than 64 KiB counts as complete at that point: its status is used, the connection is dropped.
 * - A reply that stalls or breaks off before its end is a failed attempt although its status is known: it did not arrive
 *   as the receiver meant it (RFC 9112, 8).
 * - The receiver may close a kept connection at the moment we write to it. If the connection ends before a byte of the
 *   reply, the request is sent once more on a new connection, within the same deadline. RFC 9110, 9.2.2 forbids this for
 *   a POST unless it is known to be safe: what is posted from here may arrive twice, and its id shows the repetition.
 */
export function startAttempt(request: Dispatcher.DispatchOptions, means: AttemptMeans) {
  const startedAt = performance.now()
  const excerpt = createReplyExcerpt()
  const { promise: result, resolve } = Promise.withResolvers<PostResult>()
  let controller: Dispatcher.DispatchController | null = null
  let status: number | null = null
  let retryAfterSeconds: number | null = null
  let hasAnswered = false
  let isSettled = false

  const settle = (error: PostError | null): void => {
    if (isSettled) return
    isSettled = true
    clearTimeout(deadline)
    const durationMs = Math.round(performance.now() - startedAt)
    const outcome = { status, durationMs, reply: excerpt.text(), retryAfterSeconds, error }
    // undici takes a connection back one turn of the event loop after the reply's end. If this resolved sooner, the next
    // post would find the connection busy and open another.
    queueMicrotask(() => setImmediate(resolve, outcome))
    controller?.abort(abandoned)
  }

  const stage = (): Stage => {
    if (controller === null) return 'connecting'
    return status === null ? 'awaiting status' : 'reading body'
  }

  const handler = (isLastTry: boolean): Dispatcher.DispatchHandler => {
    return {
      onRequestStart(started) {
        controller = started
        if (isSettled) started.abort(abandoned)
      },
      onResponseStarted() {
        hasAnswered = true
      },
      onResponseStart(_, statusCode, headers) {
        status = statusCode
        retryAfterSeconds = parseRetryAfter([headers['retry-after'] ?? ''].flat()[0], means.now())
      },
      onResponseData(_, chunk) {
        excerpt.add(chunk)
        if (excerpt.length >= replyBytesRead) settle(redirectError(status, means.what))
      },
      onResponseEnd() {
        settle(redirectError(status, means.what))
      },
      onResponseError(_, error) {
        if (isSettled) return
        const wasStale =
          controller !== null && !hasAnswered && means.endedReusedConnection(error) && isResetBeforeStatus(error)
        if (isLastTry || !wasStale) return settle(describeError(error, stage(), means.isTls))
        controller = null
        means.sendOnNewConnection(request, handler(true))
      },
    }
  }

  const deadline = setTimeout(() => {
    settle({ code: 'timeout', message: `${tooLate[stage()]} within ${means.timeoutMs} ms.` })
  }, means.timeoutMs)
  means.send(request, handler(false))

  return { result, stop: () => settle(stopped) }
}

// Never followed: the new address was not vetted, and a signed body is meant for the receiver it was signed for.
function redirectError(status: number | null, what: string): PostError | null {
  if (status === null || status < 300 || status > 399) return null
  return { code: 'redirect', message: `The receiver redirects (${status}); set the ${what} URL to the final address.` }
}
