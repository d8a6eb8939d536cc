import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import ts from 'typescript'

const source = join(import.meta.dirname, '../../src')

/** Files without statements: transactions, and texts that are not SQL. */
const without = ['platform/database/', 'commands/']

/** A prepared statement in the source: an object with a `name` and a `text`. */
export interface StatementInSource {
  readonly file: string
  readonly name: string
  /** Matches the name; each composed part of it may be anything. */
  readonly pattern: RegExp
}

export async function statementsInSource(): Promise<readonly StatementInSource[]> {
  const found: StatementInSource[] = []
  for await (const file of glob('**/*.ts', { cwd: source })) {
    if (without.some((folder) => file.startsWith(folder))) continue
    const visit = (node: ts.Node): void => {
      if (ts.isObjectLiteralExpression(node)) {
        const member = (key: string) => node.properties.find((one) => one.name?.getText() === key)
        const name = member('name')
        const named = name === undefined || member('text') === undefined ? null : nameOf(name)
        if (named !== null) found.push({ file, ...named })
      }
      ts.forEachChild(node, visit)
    }
    visit(ts.createSourceFile(file, readFileSync(join(source, file), 'utf8'), ts.ScriptTarget.Latest, true))
  }
  return found
}

/** Null if the name is not a literal, because then the object passes on another statement. */
function nameOf(member: ts.ObjectLiteralElementLike): Omit<StatementInSource, 'file'> | null {
  const value = ts.isPropertyAssignment(member) ? member.initializer : member
  if (ts.isStringLiteralLike(value)) return { name: value.text, pattern: new RegExp(`^${value.text}$`) }
  if (!ts.isTemplateExpression(value)) return null
  const parts = [value.head, ...value.templateSpans.map(({ literal }) => literal)].map(({ text }) => text)
  return { name: parts.join('*'), pattern: new RegExp(`^${parts.join('.*')}$`) }
}
