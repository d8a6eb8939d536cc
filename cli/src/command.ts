import { parseArgs } from 'node:util'
import { usage } from './failure.ts'
import type { Output } from './output.ts'
import { closest } from './suggest.ts'

export interface Option {
  readonly name: string
  readonly short?: string
  /** The placeholder for the value in the help. Without one the option is a switch. */
  readonly value?: string
  readonly choices?: readonly string[]
  readonly required?: true
  readonly about: string
}

export interface Example {
  readonly about: string
  /** As typed. A test parses it. */
  readonly line: string
}

/** A command, for both the parser and the help. */
export interface Command {
  readonly path: string
  /** Other names that people try. */
  readonly alsoTriedAs?: readonly string[]
  readonly summary: string
  /** Paragraphs for the help. */
  readonly about: readonly string[]
  /** The name of its one argument, if it takes one. */
  readonly argument?: { readonly name: string; readonly about: string; readonly optional?: true }
  readonly options: readonly Option[]
  /** Options that people might expect but it refuses, and why. */
  readonly refused?: Readonly<Record<string, string>>
  readonly examples: readonly [Example, ...Example[]]
  readonly exits: readonly (readonly [code: number, when: string])[]
  readonly run: (given: Given, output: Output) => Promise<number>
}

export interface CommandGroup {
  readonly title: string
  readonly commands: readonly Command[]
}

/** A parsed command line. */
export interface Given {
  readonly command: Command
  readonly argument: string | null
  readonly json: boolean
  readonly has: (option: string) => boolean
  readonly text: (option: string) => string | null
  /** The command line in canonical form, for the service's entry point. */
  readonly canonical: readonly string[]
}

export const jsonOption: Option = { name: 'json', about: 'JSON on standard output, and errors as JSON.' }
export const helpOption: Option = { name: 'help', short: 'h', about: 'This text.' }

/** Parses the part of the line after the command's name. Errors never repeat a value, which may be a secret. */
export function parseGiven(command: Command, args: readonly string[]): Given {
  const options = [...command.options, jsonOption, helpOption]
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      options.map(({ name, short, value }) => [
        name,
        { type: value === undefined ? 'boolean' : 'string', ...(short === undefined ? {} : { short }) } as const,
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const values = new Map<string, string>()
  const positionals: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const option = options.find(({ name }) => name === token.name)
    if (option === undefined) throw unknownOption(command, token.name, token.rawName)
    if (values.has(option.name)) throw usage(`--${option.name} is given twice.`, helpFor(command))
    values.set(option.name, readValue(command, option, token.value, token.inlineValue === true))
  }
  const argument = readArgument(command, positionals)
  for (const { name, required, value, about } of options) {
    if (required && !values.has(name)) {
      throw usage(`${command.path} needs --${name} ${value}. ${about}`, helpFor(command))
    }
  }
  const spelled = [...values].map(([name, value]) => (isSwitch(options, name) ? `--${name}` : `--${name}=${value}`))
  return {
    command,
    argument,
    json: values.has('json'),
    has: (name) => values.has(name),
    text: (name) => values.get(name) ?? null,
    canonical: [...command.path.split(' '), ...spelled, ...(argument === null ? [] : ['--', argument])],
  }
}

export function helpFor(command: Command): string {
  return `See: hitl ${command.path} --help`
}

function isSwitch(options: readonly Option[], name: string): boolean {
  return options.some((option) => option.name === name && option.value === undefined)
}

function readValue(command: Command, option: Option, value: string | undefined, inline: boolean): string {
  if (option.value === undefined) {
    if (value !== undefined) throw usage(`--${option.name} takes no value.`, helpFor(command))
    return ''
  }
  if (value === undefined || value === '')
    throw usage(`--${option.name} needs a value: ${option.value}.`, helpFor(command))
  if (!inline && value.startsWith('-') && value !== '-') {
    const next = `If its value begins with a dash, write --${option.name}=${option.value}.`
    throw usage(`--${option.name} needs a value: ${option.value}.`, next)
  }
  if (option.choices !== undefined && !option.choices.includes(value)) {
    const meant = closest(value, option.choices)
    const next = meant === null ? helpFor(command) : `Did you mean --${option.name} ${meant}?`
    throw usage(`--${option.name} must be one of: ${option.choices.join(', ')}.`, next)
  }
  return value
}

function readArgument(command: Command, positionals: readonly string[]): string | null {
  const { argument, path } = command
  const expected = argument === undefined ? 'no arguments, only options' : `one argument, ${argument.name}`
  if (positionals.length > (argument === undefined ? 0 : 1)) {
    throw usage(`${path} takes ${expected}; ${positionals.length} given.`, helpFor(command))
  }
  if (argument !== undefined && argument.optional !== true && positionals.length === 0) {
    throw usage(`${path} needs ${argument.name}: ${argument.about}`, helpFor(command))
  }
  return positionals[0] ?? null
}

function unknownOption(command: Command, name: string, rawName: string) {
  const why = command.refused?.[name]
  if (why !== undefined) return usage(`${command.path} takes no ${rawName}: ${why}`, helpFor(command))
  const known = [...command.options, jsonOption, helpOption].map((option) => option.name)
  const meant = closest(name, known)
  const next = meant === null ? helpFor(command) : `Did you mean --${meant}?`
  return usage(`${command.path} has no option ${rawName}.`, next)
}
