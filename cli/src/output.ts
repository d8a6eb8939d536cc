import type { Failure } from './failure.ts'

/** Where a command writes: its result to standard output, everything else to standard error. */
export interface Output {
  readonly json: boolean
  /** The result, as JSON or as text. */
  result(value: unknown, text: string): void
  /** A remark for people, left out for scripts. */
  note(text: string): void
}

export function createOutput(json: boolean): Output {
  return {
    json,
    result: (value, text) => void process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${text}\n`),
    note: (text) => {
      if (!json) process.stderr.write(`${text}\n`)
    },
  }
}

export function tellFailure({ code, message, next }: Failure, json: boolean): void {
  const shown = json ? JSON.stringify({ error: { code, message, next } }) : `hitl: ${message}${next ? `\n${next}` : ''}`
  process.stderr.write(`${shown}\n`)
}
