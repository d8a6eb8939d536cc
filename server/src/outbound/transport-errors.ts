import { errors } from 'undici'

export type PostErrorCode =
  | 'target_refused'
  | 'dns'
  | 'connect'
  | 'tls'
  | 'timeout'
  | 'reset'
  | 'protocol'
  | 'redirect'
  | 'stopped'

/** `message`: a sentence for an operator; never the URL, a header or a body, which may carry secrets. */
export interface PostError {
  readonly code: PostErrorCode
  readonly message: string
}

export const stopped: PostError = {
  code: 'stopped',
  message: 'The attempt was ended because this service is shutting down.',
}

const lengthMismatch = 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'
const postError = Symbol('post error')

/** An Error that carries its PostError through the socket and undici unchanged. */
export function errorOf(error: PostError): Error {
  return Object.assign(new Error(error.message), { [postError]: error })
}

/** Why the target was refused; null when something else went wrong. */
export function refusalIn(error: unknown): string | null {
  const own = ownError(error)
  return own?.code === 'target_refused' ? own.message : null
}

function ownError(error: unknown): PostError | undefined {
  return error instanceof Error ? (error as { [postError]?: PostError })[postError] : undefined
}

/** How far an attempt has come. */
export type Stage = 'connecting' | 'awaiting status' | 'reading body'

/** Turns an error of the socket, TLS or undici into a PostError. */
export function describeError(error: unknown, stage: Stage, isTls: boolean): PostError {
  if (!(error instanceof Error)) return protocol('The call failed for an unknown reason.')
  const own = ownError(error)
  if (own) return own
  if (error instanceof errors.InvalidArgumentError || error instanceof errors.NotSupportedError) {
    return protocol('The request could not be formed: it has a header that HTTP does not permit.')
  }
  return stage === 'connecting' ? describeConnectError(error, isTls) : describeExchangeError(error, stage)
}

/** Whether the connection ended before the reply's status, as opposed to a reply that makes no sense. */
export function isResetBeforeStatus(error: Error): boolean {
  return describeExchangeError(error, 'awaiting status').code === 'reset'
}

function describeConnectError(error: Error, isTls: boolean): PostError {
  const code = codeOf(error)
  const isDial = error instanceof AggregateError || ('syscall' in error && error.syscall === 'connect')
  if (isTls && !isDial) {
    return { code: 'tls', message: `No trusted TLS connection could be made (${code || error.message}).` }
  }
  return { code: 'connect', message: `No connection could be made (${code || 'unknown reason'}).` }
}

function describeExchangeError(error: Error, stage: Stage): PostError {
  if (error instanceof errors.HeadersOverflowError) return protocol('The reply has more headers than are read.')
  // undici closes on unexpected bytes and unasked upgrades with the code of a lost connection; only the text differs.
  if (error instanceof errors.SocketError && error.message.startsWith('bad ')) {
    return protocol(`The reply is not one to this request (${error.message}).`)
  }
  // A body that ends too early is reported as bad HTTP when the connection was to be closed after it.
  const isCutShort = error.message.includes('Invalid EOF state') || isLengthMismatch(error, stage)
  if (!isCutShort && (error instanceof errors.HTTPParserError || codeOf(error) === lengthMismatch)) {
    return protocol('The reply is not well-formed HTTP/1.1.')
  }
  return {
    code: 'reset',
    message: `The connection ended before the whole reply had arrived (${codeOf(error) || error.message}).`,
  }
}

function isLengthMismatch(error: Error, stage: Stage): boolean {
  return codeOf(error) === lengthMismatch && stage === 'reading body'
}

function protocol(message: string): PostError {
  return { code: 'protocol', message }
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}
