import { styleText } from 'node:util'
import { type Command, type CommandGroup, helpOption, jsonOption, type Option } from './command.ts'

const width = 92

const heading = (text: string): string => styleText('bold', text, { stream: process.stdout })

/** Lines of at most `width`, each after `indent`. */
function wrap(text: string, indent: string, first = indent): string {
  const lines: string[] = []
  let line = first
  let empty = true
  for (const word of text.split(' ')) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line)
      line = indent
      empty = true
    }
    line += empty ? word : ` ${word}`
    empty = false
  }
  return [...lines, line].join('\n')
}

function rows(entries: readonly (readonly [string, string])[], names = entries): string {
  const column = Math.max(...names.map(([name]) => name.length)) + 4
  return entries.map(([name, about]) => wrap(about, ' '.repeat(column), `  ${name}`.padEnd(column))).join('\n')
}

function signature({ name, short, value }: Option): string {
  return `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
}

function inUsage(option: Option): string {
  const text = `--${option.name}${option.value === undefined ? '' : ` ${option.choices?.join('|') ?? option.value}`}`
  return option.required ? text : `[${text}]`
}

function described({ about, choices, required }: Option): string {
  const extra = [required ? 'Required.' : '', choices === undefined ? '' : `One of: ${choices.join(', ')}.`]
  return [about, ...extra].filter((text) => text !== '').join(' ')
}

function argumentInUsage(argument: Command['argument']): readonly string[] {
  if (argument === undefined) return []
  return [argument.optional === true ? `[${argument.name}]` : argument.name]
}

export function commandHelp(command: Command): string {
  const { path, about, argument, options, examples, exits } = command
  const line = ['hitl', path, ...argumentInUsage(argument), ...options.map(inUsage), '[--json]']
  const parts = [
    about.map((paragraph) => wrap(paragraph, '')).join('\n\n'),
    `${heading('Usage')}\n${wrap(line.join(' '), '    ', '  ')}`,
    ...(argument === undefined ? [] : [`${heading('Argument')}\n${rows([[argument.name, argument.about]])}`]),
    `${heading('Options')}\n${rows([...options, jsonOption, helpOption].map((each) => [signature(each), described(each)]))}`,
    `${heading('Examples')}\n${examples.map((each) => `${wrap(each.about, '  ')}\n    ${each.line}`).join('\n\n')}`,
    `${heading('Exit codes')}\n${rows(exits.map(([code, when]) => [String(code), when]))}`,
  ]
  return parts.join('\n\n')
}

export function overview(groups: readonly CommandGroup[], version: string): string {
  const rowOf = ({ path, summary }: Command) => [path, summary] as const
  const all = groups.flatMap(({ commands }) => commands.map(rowOf))
  const parts = [
    `hitl ${version}: runs a HITL installation, looks after it, and proves what happened in it.`,
    `${heading('Usage')}\n  hitl <command> [options]`,
    ...groups.map(({ title, commands }) => `${heading(title)}\n${rows(commands.map(rowOf), all)}`),
    `${heading('Options')}\n${rows([
      ['--json', jsonOption.about],
      ['--version', 'The version of this program.'],
      ['-h, --help', 'This text. After a command: how to use it, with examples.'],
    ])}`,
    `${heading('Examples')}
  What is wrong with my settings, and does the database answer?
    hitl config check --connect

  Has anyone changed the audit since it was exported?
    hitl audit verify audit.jsonl --keys https://hitl.example.com`,
    `${heading('Exit codes')}\n${rows([
      ['0', 'done; for audit verify: intact'],
      ['1', 'failed; the reason is on standard error'],
      ['2', 'audit verify: the export was changed'],
      ['3', 'audit verify: nothing shows a change, but not everything is proven'],
      ['64', 'the command line is wrong'],
      ['69', 'a database or service does not respond; try again later'],
      ['78', 'a setting is wrong'],
    ])}`,
    'hitl <command> --help explains a command. More in docs/cli.md.',
  ]
  return parts.join('\n\n')
}
