import { type ParseArgsConfig, parseArgs } from 'node:util'

/** One command of the service's own entry point. Help texts are in the `hitl` command. */
export interface Command {
  readonly options: NonNullable<ParseArgsConfig['options']>
  readonly load: () => Promise<{ readonly run: Run }>
}

/** Returns the exit code when it is not 0. */
export type Run = (options: Options, output: Output) => Promise<number | undefined>

export type Options = Readonly<Record<string, string | boolean | undefined>>

/** The result goes to standard output, remarks about it to standard error. */
export interface Output {
  readonly json: boolean
  result(value: unknown, text: string): void
  /** A remark for a person; scripts do without. */
  note(text: string): void
}

export interface ParsedCommand {
  readonly name: string
  readonly command: Command
  readonly options: Options
}

/** The command line is wrong, so trying again cannot help. */
export class UsageError extends Error {
  readonly next: string | undefined

  constructor(message: string, next?: string) {
    super(message)
    this.name = 'UsageError'
    this.next = next
  }
}

/** Finds the command that `args` begin with, `serve` by default, and parses its options. Throws UsageError. */
export function parseCommand(commands: Readonly<Record<string, Command>>, args: readonly string[]): ParsedCommand {
  const words = args.length === 0 ? ['serve'] : args
  const name = [words.slice(0, 2).join(' '), words[0] ?? ''].find((candidate) => Object.hasOwn(commands, candidate))
  const command = name === undefined ? undefined : commands[name]
  if (name === undefined || command === undefined) {
    const others = Object.keys(commands).filter((known) => known !== 'serve')
    throw new UsageError(`Unknown command "${words[0]}". Use serve (the default), ${others.join(', ')}.`)
  }
  try {
    const { values } = parseArgs({
      args: words.slice(name.split(' ').length),
      options: { ...command.options, json: { type: 'boolean' } },
    })
    return { name, command, options: values as Options }
  } catch (error) {
    // Node's messages name options, never their values. Their advice about positional arguments is for programmers.
    const [sentence = ''] = (error as Error).message.split(/(?<=[^.]\.) |, use /)
    const shown = /^Unexpected argument/.test(sentence) ? 'it takes options only, no arguments' : sentence
    throw new UsageError(`${name}: ${shown}`, `See: hitl ${name} --help`)
  }
}

export function textOption(options: Options, name: string): string | null {
  const value = options[name]
  return typeof value === 'string' ? value : null
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function organizationOption(options: Options): string | null {
  const id = textOption(options, 'organization')?.toLowerCase() ?? null
  if (id !== null && !uuid.test(id)) throw new UsageError('--organization must be the id of an organization, a UUID.')
  return id
}
