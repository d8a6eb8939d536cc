import assert from 'node:assert/strict'
import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'

const src = join(import.meta.dirname, '../src')
const hasLetters = /\p{L}/u

/** What people read or hear: attributes, and members of what is given to components. */
const readAloud = new Set([
  'aria-label',
  'aria-description',
  'aria-roledescription',
  'aria-placeholder',
  'aria-valuetext',
  'title',
  'alt',
  'placeholder',
  'label',
  'about',
  'summary',
])

/** Every text in code that a person reads, and that is thus the same in every language. */
function texts(name: string, code: string, words: ReadonlySet<string>): readonly string[] {
  const file = ts.createSourceFile(name, code, ts.ScriptTarget.Latest, true)
  const found: string[] = []
  const report = (node: ts.Node): void => {
    const { line } = file.getLineAndCharacterOfPosition(node.getStart(file))
    found.push(`${name}:${line + 1}: ${node.getText(file).trim()}`)
  }
  /** The texts that a value may be: each side of a choice, each part of a sum. */
  const texted = (node: ts.Node): void => {
    if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) {
      if (hasLetters.test(node.text) && !words.has(node.text)) report(node)
    } else if (ts.isTemplateExpression(node)) {
      if ([node.head, ...node.templateSpans.map(({ literal }) => literal)].some(({ text }) => hasLetters.test(text))) {
        report(node)
      }
    } else if (ts.isConditionalExpression(node)) {
      texted(node.whenTrue)
      texted(node.whenFalse)
    } else if (ts.isBinaryExpression(node)) {
      const { kind } = node.operatorToken
      if (kind === ts.SyntaxKind.PlusToken || kind === ts.SyntaxKind.QuestionQuestionToken) texted(node.left)
      texted(node.right)
    } else if (ts.isParenthesizedExpression(node)) texted(node.expression)
  }
  const visit = (node: ts.Node): void => {
    if (ts.isJsxText(node)) {
      if (hasLetters.test(node.text)) report(node)
    } else if (ts.isJsxExpression(node) && !ts.isJsxAttribute(node.parent)) {
      if (node.expression !== undefined) texted(node.expression)
    } else if (ts.isJsxAttribute(node) && readAloud.has(node.name.getText(file)) && node.initializer !== undefined) {
      const value = ts.isJsxExpression(node.initializer) ? node.initializer.expression : node.initializer
      if (value !== undefined) texted(value)
    } else if (ts.isPropertyAssignment(node) && readAloud.has(node.name.getText(file).replaceAll(/['"]/g, ''))) {
      texted(node.initializer)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

test('nothing that people read is written in the code: it stands in words/*.json', async () => {
  const words = new Set(Object.keys(JSON.parse(await readFile(join(src, 'words/en.json'), 'utf8'))))
  const found: string[] = []
  let files = 0
  for await (const name of glob('**/*.{ts,tsx}', { cwd: src })) {
    if (name.endsWith('.gen.ts')) continue
    files += 1
    found.push(...texts(name, await readFile(join(src, name), 'utf8'), words))
  }
  assert.ok(files > 100)
  assert.deepEqual(found, [], 'Name each of these in web/src/words/*.json, and write say(name).')
})

for (const [what, code] of [
  ['text between tags', '<p>Nothing yet</p>'],
  ['a literal between tags', "<p>{'Nothing yet'}</p>"],
  ['one side of a choice', "<p>{isOn ? 'On' : say('off')}</p>"],
  ['a template', `<p>{\`\${count} left\`}</p>`],
  ['a sum', "<p>{count + ' left'}</p>"],
  ['an attribute', '<input placeholder="Your name" />'],
  ['an attribute with an expression', `<button aria-label={\`Close \${name}\`} />`],
  ['a member', "const field = { label: 'Name' }"],
] as const) {
  test(`the check finds ${what}`, () => assert.equal(texts('a.tsx', code, new Set()).length, 1))
}

test('the check lets names of messages, classes and numbers pass', () => {
  const code = `<p className="mt-1" title={say('off')}>{'·'} {count === 1 ? '…' : ' '} {\`\${a} · \`}</p>; ({ label: 'queue.all' })`
  assert.deepEqual(texts('a.tsx', code, new Set(['queue.all'])), [])
})
