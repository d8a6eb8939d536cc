import type { ReadStream } from 'node:tty'

/** Ctrl-C or Ctrl-D at a prompt. */
export class Interrupted extends Error {
  constructor() {
    super('Interrupted; nothing was changed.')
    this.name = 'Interrupted'
  }
}

type Input = Pick<ReadStream, 'on' | 'off' | 'setRawMode' | 'setEncoding' | 'resume' | 'pause' | 'unshift'>

/** Arrow keys, the marks around pasted text, and the like. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what terminals send
const escapeSequences = /\u001b(?:\[[0-9;?]*[A-Za-z~]|O[A-Z])/g

export interface Typed {
  readonly line: string
  readonly state: 'open' | 'entered' | 'interrupted'
  /** What was typed after the end of the line, for the next prompt. */
  readonly ahead: string
}

/** Applies these keys to the line, as a terminal would. */
export function afterKeys(begun: string, chunk: string): Typed {
  const keys = [...chunk.replace(escapeSequences, '')]
  let line = begun
  for (const [index, key] of keys.entries()) {
    if (key === '\r' || key === '\n') return { line, state: 'entered', ahead: keys.slice(index + 1).join('') }
    if (key === '\u0003' || (key === '\u0004' && line === '')) return { line: '', state: 'interrupted', ahead: '' }
    if (key === '\u007f' || key === '\b') line = [...line].slice(0, -1).join('')
    else if (key === '\u0015') line = ''
    else if (key >= ' ') line += key
  }
  return { line, state: 'open', ahead: '' }
}

/** Asks on a terminal without showing what is typed. */
export async function askHidden(question: string, input: Input, output: NodeJS.WritableStream): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let line = ''
  const take = (chunk: string): void => {
    const typed = afterKeys(line, chunk)
    line = typed.line
    if (typed.state === 'open') return
    input.off('data', take)
    input.pause()
    if (typed.ahead !== '') input.unshift(typed.ahead)
    if (typed.state === 'entered') resolve(line)
    else reject(new Interrupted())
  }
  const hungUp = (): void => reject(new Interrupted())
  output.write(question)
  input.setRawMode(true)
  input.setEncoding('utf8')
  input.on('data', take).on('end', hungUp)
  input.resume()
  try {
    return await promise
  } finally {
    input.off('data', take).off('end', hungUp)
    input.pause()
    input.setRawMode(false)
    output.write('\n')
  }
}
