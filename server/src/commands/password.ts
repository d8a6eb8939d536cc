import { randomInt } from 'node:crypto'
import { type Options, UsageError } from './command.ts'
import { askHidden } from './hidden-prompt.ts'

/** Without 0 O 1 l I and the like: such a password is read aloud and typed. */
const letters = 'abcdefghjkmnpqrstuvwxyz23456789'

/** 24 letters of 31: 118 bits. */
export function generatePassword(): string {
  const group = () => Array.from({ length: 6 }, () => letters[randomInt(letters.length)]).join('')
  return Array.from({ length: 4 }, group).join('-')
}

export interface ChosenPassword {
  readonly password: string
  /** To be printed, because no one has seen it. */
  readonly generated: boolean
}

/** Throws UsageError if there is no way to get one. Call it before opening anything. */
export function checkPasswordOptions(options: Options): void {
  const piped = options['password-stdin'] === true
  if (piped && options['generate-password'] === true) {
    throw new UsageError('Use either --password-stdin or --generate-password, not both.')
  }
  if (piped && process.stdin.isTTY) {
    throw new UsageError(
      'Standard input is a terminal, which would show the password.',
      'Leave out --password-stdin to be asked for it.',
    )
  }
  if (!piped && options['generate-password'] !== true && !process.stdin.isTTY) {
    throw new UsageError(
      'There is no terminal to ask for the password.',
      'Pipe it with --password-stdin, or let --generate-password make one.',
    )
  }
}

export async function choosePassword(options: Options, email: string): Promise<ChosenPassword> {
  if (options['generate-password'] === true) return { password: generatePassword(), generated: true }
  if (options['password-stdin'] === true) return { password: await firstLine(process.stdin), generated: false }
  const ask = (question: string) => askHidden(question, process.stdin, process.stderr)
  for (;;) {
    const password = await ask(`Password for ${email} (8 to 72 bytes, not shown): `)
    if (password === (await ask('Again: '))) return { password, generated: false }
    process.stderr.write('The two were not the same. Try again:\n')
  }
}

/** The first line: password stores print notes after it. */
async function firstLine(input: NodeJS.ReadStream): Promise<string> {
  let text = ''
  for await (const chunk of input.setEncoding('utf8')) {
    text += chunk
    if (text.includes('\n') || text.length > 4_096) break
  }
  const line = text.split(/\r?\n/)[0] ?? ''
  if (line === '') throw new UsageError('Standard input held no password.')
  return line
}
