import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { nearestName } from '../platform/nearest-name.ts'

/** What `.env` holds, and what is wrong with it. */
export interface EnvFile {
  readonly values: NodeJS.ProcessEnv
  /** The line that each name is on. */
  readonly lines: ReadonlyMap<string, number>
  readonly mistakes: readonly string[]
}

/** A missing file is fine; an unreadable one is a mistake, because the service would start with other settings than meant. */
export function readEnvFile(path: string, known: readonly string[]): EnvFile {
  try {
    // Skips a byte-order mark, and throws for UTF-16, which some Windows editors write.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path))
    return { values: parseEnv(text) as NodeJS.ProcessEnv, ...scanned(text, path, known) }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const nothing = { values: {}, lines: new Map<string, number>() }
    if (code === 'ENOENT') return { ...nothing, mistakes: [] }
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      return { ...nothing, mistakes: [`${path} is not UTF-8 text: save it as UTF-8`] }
    }
    return { ...nothing, mistakes: [`${path} cannot be read: ${message}`] }
  }
}

/** Node's parser skips a line that is no assignment, and what it was meant to set would keep its default. */
function scanned(text: string, path: string, known: readonly string[]): Pick<EnvFile, 'lines' | 'mistakes'> {
  const rows = text.split(/\r\n|\n|\r/)
  const lines = new Map<string, number>()
  const mistakes: string[] = []
  for (let at = 0; at < rows.length; at += 1) {
    const row = rows[at]?.trim() ?? ''
    if (row === '' || row.startsWith('#')) continue
    const [, name, value = ''] = /^(?:export\s+)?([^\s=]+)\s*=\s*(.*)$/.exec(row) ?? []
    if (name === undefined) {
      // Not the line itself, which may hold a secret.
      const word = /[A-Za-z_]\w*/.exec(row)?.[0] ?? ''
      const meant = known.includes(word) ? word : nearestName(word, known, 1)
      mistakes.push(`${path}, line ${at + 1}: not an assignment. Write ${meant ?? 'NAME'}=value`)
      continue
    }
    lines.set(name, at + 1)
    at += linesWithin(value, rows.slice(at + 1))
  }
  return { lines, mistakes }
}

/** How many more lines a quoted value takes. One whose quote is never closed ends with its line. */
function linesWithin(value: string, following: readonly string[]): number {
  const quote = value[0] ?? ''
  if (!['"', "'", '`'].includes(quote) || value.includes(quote, 1)) return 0
  return following.findIndex((row) => row.includes(quote)) + 1
}
