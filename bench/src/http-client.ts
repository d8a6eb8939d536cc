import { type Dispatcher, Pool } from 'undici'

export interface HttpClient {
  /** Sends one call and returns the reply's body. Throws unless the status is `expected`. */
  call(call: Call): Promise<string>
  close(): Promise<void>
}

export interface Call {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** An access token or an API key. */
  readonly as: string
  /** JSON text. */
  readonly body?: string
  readonly expected: number
}

/**
 * One keep-alive connection per worker, with one call at a time. It uses undici's `dispatch` because the load process shares
 * the processor with what it measures: 23 µs per call, against 40 µs for `Pool.request` and 44 µs for `node:http`.
 */
export function openHttpClient(url: string, connections: number): HttpClient {
  const pool = new Pool(url, { connections, pipelining: 1 })
  return {
    call: ({ method, path, as, body = null, expected }) =>
      new Promise((resolve, reject) => {
        const headers = body === null ? [] : ['content-type', 'application/json']
        pool.dispatch(
          { method, path, headers: ['authorization', `Bearer ${as}`, ...headers], body },
          collect((status, text) => {
            if (status === expected) resolve(text)
            else reject(new Error(`${method} returned ${status} instead of ${expected}: ${detailOf(text)}`))
          }, reject),
        )
      }),
    close: () => pool.close(),
  }
}

function collect(
  onEnd: (status: number, text: string) => void,
  onError: (error: Error) => void,
): Dispatcher.DispatchHandler {
  const chunks: Buffer[] = []
  let status = 0
  return {
    onRequestStart: () => {},
    onResponseStart: (_controller, statusCode) => {
      status = statusCode
    },
    onResponseData: (_controller, chunk) => void chunks.push(chunk),
    onResponseEnd: () => onEnd(status, (chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))?.toString() ?? ''),
    onResponseError: (_controller, error) => onError(error),
  }
}

/** The sentence in a problem body, so that equal failures are counted together. */
function detailOf(text: string): string {
  return /"detail":"([^"]*)"/.exec(text)?.[1] ?? text.slice(0, 100)
}
