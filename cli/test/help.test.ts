import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parseGiven } from '../src/command.ts'
import { commands, findCommand } from '../src/commands.ts'
import { commandOf, hitl } from './hitl-process.ts'

test('hitl, --help, -h and help list every command with its purpose, and the exit codes', async () => {
  const texts = await Promise.all([[], ['--help'], ['-h'], ['help']].map((args) => hitl(args)))
  for (const { code, stdout, stderr } of texts) {
    assert.equal(code, 0)
    assert.equal(stderr, '')
    assert.equal(stdout, texts[0]?.stdout)
    for (const { path, summary } of commands) assert.ok(stdout.includes(`${path} `) && stdout.includes(summary), path)
    const exits = new Set(commands.flatMap((command) => command.exits.map(([code]) => code)))
    for (const exit of exits) assert.match(stdout, new RegExp(`^ {2}${exit} +\\S`, 'm'))
  }
})

describe('the help of a command', () => {
  for (const command of commands) {
    test(`${command.path}: what it is for, its options, exit codes, and examples that are understood`, async () => {
      const [inFront, behind, asWord] = await Promise.all([
        hitl(['--help', ...command.path.split(' ')]),
        hitl([...command.path.split(' '), '--nonsense', '-h']),
        hitl(['help', ...command.path.split(' ')]),
      ])
      assert.deepEqual([inFront.code, behind.code, asWord.code], [0, 0, 0])
      assert.equal(behind.stdout, inFront.stdout)
      assert.equal(asWord.stdout, inFront.stdout)
      const text = inFront.stdout
      const unwrapped = text.replaceAll(/\n +/g, ' ')
      for (const { name, about } of command.options) {
        assert.match(text, new RegExp(`--${name}\\b`))
        assert.ok(unwrapped.includes(about), `--${name} is explained`)
      }
      for (const [code] of command.exits) assert.match(text, new RegExp(`^ {2}${code} +\\S`, 'm'))
      const examples = text.slice(text.indexOf('\nExamples\n'), text.indexOf('\nExit codes\n'))
      const lines = examples.split('\n').filter((line) => /^ {4}(.* )?hitl /.test(line))
      assert.equal(lines.length, command.examples.length)
      for (const line of lines) understood(line, command.path)
      for (const line of text.split('\n')) assert.ok(line.length <= 100, `fits a terminal: ${line}`)
    })
  }

  test('of a family such as hitl audit: the help of each of its commands', async () => {
    const { code, stdout } = await hitl(['audit', '--help'])
    assert.equal(code, 0)
    assert.match(stdout, /hitl audit export/)
    assert.match(stdout, /hitl audit verify/)
  })

  test('is plain text when it is not written to a terminal', async () => {
    const { stdout } = await hitl(['serve', '--help'], { environment: { TERM: 'xterm-256color' } })
    assert.ok(!stdout.includes('\u001b'))
  })
})

test('every command line in docs/cli.md can be parsed', async () => {
  const text = await readFile(join(import.meta.dirname, '../../docs/cli.md'), 'utf8')
  const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1] ?? '')
  const lines = blocks.flatMap((block) => block.split('\n')).filter((line) => /(^|\s)hitl /.test(line))
  assert.ok(lines.length >= 15)
  for (const line of lines) understood(line)
})

/** Finds and parses the command of an example line; throws the error that a caller would get. */
function understood(line: string, path: string | null = null): void {
  const words = commandOf(line)
  const found = findCommand(words.slice(0, 2))
  assert.equal(found.kind, 'command', line)
  assert.ok(found.kind === 'command')
  if (path !== null) assert.equal(found.command.path, path, line)
  parseGiven(found.command, words.slice(found.words))
}

test('--version: the version, as text and as JSON', async () => {
  const [text, short, json] = await Promise.all([hitl(['--version']), hitl(['-V']), hitl(['--version', '--json'])])
  assert.match(text.stdout, /^hitl \d+\.\d+\.\d+\n$/)
  assert.equal(short.stdout, text.stdout)
  assert.deepEqual(JSON.parse(json.stdout), { version: text.stdout.trim().slice(5) })
})
