import { readFileSync } from 'node:fs'
import { type Command, parseGiven } from './command.ts'
import { commands, findCommand, groups } from './commands.ts'
import { exitCodes } from './exit-codes.ts'
import { Failure, usage } from './failure.ts'
import { commandHelp, overview } from './help.ts'
import { createOutput, tellFailure } from './output.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/** Runs one command line and returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  // `hitl ... | head` closes the output early, which is not a failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.done)
    throw error
  })
  const line = args.slice(0, args.indexOf('--') === -1 ? args.length : args.indexOf('--'))
  const json = line.includes('--json')
  try {
    return await dispatch(args, json)
  } catch (error) {
    const failure = error instanceof Failure ? error : unexpected(error)
    tellFailure(failure, json)
    return failure.exitCode
  }
}

async function dispatch(args: readonly string[], json: boolean): Promise<number> {
  const output = createOutput(json)
  const wantsHelp = args.some((arg) => arg === '--help' || arg === '-h')
  // Switches that every command has may come first: `hitl --json migrate`.
  const leading = args.findIndex((arg) => !arg.startsWith('-'))
  const front = leading === -1 ? args : args.slice(0, leading)
  const words = leading === -1 ? [] : args.slice(leading)
  if (words[0] === 'help') return help(words.slice(1))
  if (words.length === 0) return withoutCommand(front, output)
  const name = words.slice(0, 2).filter((word) => !word.startsWith('-'))
  const found = findCommand(name)
  if (found.kind === 'family') {
    if (wantsHelp) return print(found.members.map(commandHelp).join('\n\n\n'))
    throw usage(`${name[0]} needs one more word.`, members(found.members))
  }
  if (found.kind === 'unknown') throw unknown(found.typed, found.meant)
  if (wantsHelp) return print(commandHelp(found.command))
  const given = parseGiven(found.command, [...front, ...words.slice(found.words)])
  return found.command.run(given, output)
}

function withoutCommand(front: readonly string[], output: ReturnType<typeof createOutput>): number {
  if (front.includes('--version') || front.includes('-V')) {
    output.result({ version }, `hitl ${version}`)
    return exitCodes.done
  }
  const odd = front.find((arg) => !['--json', '--help', '-h'].includes(arg))
  if (odd !== undefined) throw usage(`There is no option ${odd.split('=')[0]} without a command.`, 'See: hitl --help')
  return print(overview(groups, version))
}

function help(words: readonly string[]): number {
  if (words.length === 0) return print(overview(groups, version))
  const found = findCommand(words)
  if (found.kind === 'unknown') throw unknown(found.typed, found.meant)
  return print((found.kind === 'family' ? found.members : [found.command]).map(commandHelp).join('\n\n\n'))
}

function unknown(typed: string, meant: Command | null): Failure {
  const next = meant === null ? `${members(commands)}\nSee: hitl --help` : `Did you mean: hitl ${meant.path}`
  return usage(`There is no command "${typed}".`, next)
}

function members(all: readonly Command[]): string {
  return `One of: ${all.map(({ path }) => path).join(', ')}`
}

function print(text: string): number {
  process.stdout.write(`${text}\n`)
  return exitCodes.done
}

/** A fault of this program or the machine. The stack is only shown on request. */
function unexpected(error: unknown): Failure {
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  if (process.env.HITL_DEBUG) process.stderr.write(`${stack}\n`)
  return new Failure(exitCodes.failed, 'unexpected', message, 'HITL_DEBUG=1 shows where it happened.')
}
