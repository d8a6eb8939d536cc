import { createHash } from 'node:crypto'

/** SHA-256 over RFC 8785 JSON, written from its text and differently from the service. Members that are undefined are left out. */
export function sha256OfJson(value: unknown): string {
  return createHash('sha256').update(canonical(value), 'utf8').digest('hex')
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`
}
