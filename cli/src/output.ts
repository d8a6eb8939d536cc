import type { Failure } from './failure.ts'

/** Where a command writes: its result to standard output, everything else to standard error. */
export interface Output {
  readonly json: boolean
  /** The result, as JSON or as text. */
  result(value: unknown, text: string): void
  /** A remark for people, left out for scripts. */
  note(text: string): void
}

/** What is written may come from a file that somebody else made: nothing in it moves the cursor or hides. */
function visible(text: string): string {
  return text.replace(
    /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu,
    (sign) => `[U+${sign.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`,
  )
}

export function createOutput(json: boolean): Output {
  return {
    json,
    result: (value, text) => void process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${visible(text)}\n`),
    note: (text) => {
      if (!json) process.stderr.write(`${visible(text)}\n`)
    },
  }
}

export function tellFailure({ code, message, next }: Failure, json: boolean): void {
  const shown = json ? JSON.stringify({ error: { code, message, next } }) : `hitl: ${message}${next ? `\n${next}` : ''}`
  process.stderr.write(`${json ? shown : visible(shown)}\n`)
}
