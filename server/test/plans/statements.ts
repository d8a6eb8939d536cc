import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import ts from 'typescript'

const source = join(import.meta.dirname, '../../src')

/** Without statements of their own: the transactions around them, and texts that are no SQL. */
const without = ['platform/database/', 'commands/']

/** A prepared statement as it stands in the source: an object with a `name` and a `text`. */
export interface StatementInSource {
  readonly file: string
  readonly name: string
  /** Meets the name; each part of it that is composed may be anything. */
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

/** Null where the name is no text: that passes on a statement of elsewhere. */
function nameOf(member: ts.ObjectLiteralElementLike): Omit<StatementInSource, 'file'> | null {
  const value = ts.isPropertyAssignment(member) ? member.initializer : member
  if (ts.isStringLiteralLike(value)) return { name: value.text, pattern: new RegExp(`^${value.text}$`) }
  if (!ts.isTemplateExpression(value)) return null
  const parts = [value.head, ...value.templateSpans.map(({ literal }) => literal)].map(({ text }) => text)
  return { name: parts.join('*'), pattern: new RegExp(`^${parts.join('.*')}$`) }
}
