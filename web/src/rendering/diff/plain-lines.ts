import { isObject } from '../pointer.ts'

/** A value as lines that can be compared: one for each of its parts, without the marks of JSON that say nothing to a person. */
export function plainLines(value: unknown): string {
  if (typeof value === 'string') return value
  const lines: string[] = []
  write(value, '', lines)
  return lines.join('\n')
}

function write(value: unknown, indent: string, lines: string[], before = ''): void {
  const members = Array.isArray(value)
    ? value.map((item, at) => [`${at + 1}`, item] as const)
    : isObject(value)
      ? Object.entries(value)
      : []
  if (typeof value === 'string' && value.includes('\n') && before !== '') {
    lines.push(`${indent}${before.trimEnd()}`, ...value.split(/\r?\n/).map((line) => `${indent}  ${line}`))
    return
  }
  if (members.length === 0) {
    lines.push(`${indent}${before}${textOf(value)}`)
    return
  }
  if (before !== '') lines.push(`${indent}${before.trimEnd()}`)
  const inner = before === '' ? indent : `${indent}  `
  for (const [name, item] of members) write(item, inner, lines, `${name}: `)
}

const textOf = (value: unknown): string => JSON.stringify(value) ?? ''
