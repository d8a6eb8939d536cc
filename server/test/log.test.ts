import assert from 'node:assert/strict'
import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import ts from 'typescript'
import { changeLevelOnSignal } from '../src/commands/log-level.ts'
import { isPretty } from '../src/commands/serve.ts'
import { loadConfig } from '../src/config.ts'
import { createLog } from '../src/platform/log.ts'

const root = join(import.meta.dirname, '../..')

test('LOG_FORMAT: as it says, or pretty on a terminal outside production', () => {
  const pretty = (environment: NodeJS.ProcessEnv, isTerminal: boolean, json = false) =>
    isPretty(loadConfig(environment, '/nonexistent/.env'), isTerminal, json)
  assert.deepEqual(
    [pretty({}, true), pretty({}, false), pretty({}, true, true), pretty({ NODE_ENV: 'production' }, true)],
    [true, false, false, false],
  )
  assert.deepEqual([pretty({ LOG_FORMAT: 'json' }, true), pretty({ LOG_FORMAT: 'pretty' }, false)], [false, true])
})

test('SIGUSR2 turns debug on, and off again; each is said, whatever the level', {
  skip: process.platform === 'win32',
}, async () => {
  const lines: Record<string, unknown>[] = []
  const log = createLog('warn', false, { write: (line) => void lines.push(JSON.parse(line)) })
  // Node's test runner has one of its own, which writes a report.
  const others = process.listeners('SIGUSR2')
  process.removeAllListeners('SIGUSR2')
  after(() => {
    process.removeAllListeners('SIGUSR2')
    for (const other of others) process.on('SIGUSR2', other)
  })
  changeLevelOnSignal(log)
  log.debug('not this')
  // As if it had come: a real one, to real processes, is sent in e2e/processes.test.ts.
  process.emit('SIGUSR2')
  log.debug('but this')
  process.emit('SIGUSR2')
  log.debug('nor this')
  assert.deepEqual(
    lines.map(({ msg, log_level: level }) => level ?? msg),
    ['debug', 'but this', 'warn'],
  )
})

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']

/** Fields that are put together where the line is not, by the text that stands in the line. */
const elsewhere: Readonly<Record<string, readonly string[]>> = {
  // What is tried again and again: `failed` has them.
  'error as object': [],
  fields: [],
  // Of mail (platform/mail.ts).
  said: ['code', 'smtp', 'reason'],
  // A session that blocks others (platform/database/slow.ts).
  found: ['backend', 'application', 'database', 'blocks'],
  // A sentence.
  warning: [],
}

/** The fields that the lines of a file may have, and what could not be followed. */
function fieldsOf(name: string, text: string) {
  const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true)
  const fields = new Set<string>()
  const unknown = new Set<string>()
  const objects = new Map<string, ts.ObjectLiteralExpression[]>()
  const each = (node: ts.Node, visit: (node: ts.Node) => void): void => {
    visit(node)
    ts.forEachChild(node, (child) => each(child, visit))
  }
  const take = (given: ts.Expression): void => {
    if (ts.isStringLiteralLike(given) || ts.isTemplateExpression(given)) return
    const parts = ts.isParenthesizedExpression(given)
      ? [given.expression]
      : ts.isConditionalExpression(given)
        ? [given.whenTrue, given.whenFalse]
        : []
    for (const part of parts) take(part)
    if (parts.length > 0) return
    if (!ts.isObjectLiteralExpression(given)) {
      const word = given.getText()
      // The one that was declared last before it.
      const known = objects.get(word)?.findLast((object) => object.pos < given.pos)
      if (known === undefined && !(word in elsewhere)) unknown.add(`${name}: ${word}`)
      if (known !== undefined) take(known)
      for (const field of elsewhere[word] ?? []) fields.add(field)
      return
    }
    for (const property of given.properties) {
      if (ts.isSpreadAssignment(property)) take(property.expression)
      else if (property.name !== undefined) fields.add(property.name.getText().replaceAll("'", ''))
    }
  }
  each(source, (node) => {
    if (!ts.isVariableDeclaration(node) || node.initializer === undefined) return
    const found = ts.isConditionalExpression(node.initializer) ? node.initializer.whenTrue : node.initializer
    if (!ts.isObjectLiteralExpression(found)) return
    objects.set(node.name.getText(), [...(objects.get(node.name.getText()) ?? []), found])
  })
  each(source, (node) => {
    if (!ts.isCallExpression(node)) return
    const { expression: called, arguments: given } = node
    const [first, , third] = given
    if (ts.isIdentifier(called) && called.text === 'createFailureLog' && third !== undefined) take(third)
    if (!ts.isPropertyAccessExpression(called) && !ts.isElementAccessExpression(called)) return
    const on = called.expression.getText()
    const act = ts.isPropertyAccessExpression(called) ? called.name.text : 'info'
    if (first === undefined) return
    if (/(^|\.)log$/.test(on) && levels.includes(act)) take(first)
    if (/ines$/.test(on) && act === 'failed' && first.getText() !== 'error') take(first)
  })
  return { fields, unknown }
}

test('docs/operations.md has every field of the log, and no other; all are in snake_case', async () => {
  // What pino adds to each line, and to the lines of a call.
  const fields = new Set(['level', 'time', 'pid', 'msg', 'request_id', 'trace_id'])
  const unknown = new Set<string>()
  let files = 0
  for await (const name of glob('server/src/**/*.ts', { cwd: root })) {
    const found = fieldsOf(name, await readFile(join(root, name), 'utf8'))
    for (const field of found.fields) fields.add(field)
    for (const word of found.unknown) unknown.add(word)
    files += 1
  }
  assert.ok(files > 300)
  assert.deepEqual([...unknown], [], 'not followed: write the object into the line, or list it here')
  for (const field of fields) assert.match(field, /^[a-z]+(_[a-z]+)*$/)
  const text = await readFile(join(root, 'docs/operations.md'), 'utf8')
  const table = text.split('\n## Log\n')[1]?.split('\n## ')[0] ?? ''
  const rows = table.split('\n').filter((line) => line.startsWith('| `'))
  const documented = rows.flatMap((row) =>
    [...(row.split(' | ')[0] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name),
  )
  assert.deepEqual(documented.toSorted(), [...fields].sort())
})
