import type { components } from './schema.gen.ts'

export type Problem = components['schemas']['Problem'] & Readonly<Record<string, unknown>>

/** A call that the service refused. `detail` says what to do next, in the service's own words. */
export class Refused extends Error {
  readonly status: number
  readonly code: string
  readonly problem: Partial<Problem>
  constructor(status: number, problem: Partial<Problem>) {
    super(problem.detail ?? String(status))
    this.status = status
    this.code = problem.code ?? ''
    this.problem = problem
  }
}

/** What a call returned, or the refusal thrown. */
export async function granted<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call
  if (!response.ok) throw new Refused(response.status, (error ?? {}) as Partial<Problem>)
  return data as T
}

/** Whether the service replied: an error without a code is what stands between it and the browser. */
export const isRefused = (error: unknown): error is Refused =>
  error instanceof Refused && (error.status < 500 || error.code !== '')
