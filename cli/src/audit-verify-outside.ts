import type { Findings } from './audit-verify-findings.ts'
import { type Head, type Jws, type KeyRing, readHead, signatureHolds } from './audit-verify-jws.ts'

/** Heads from outside the database, by organization and number. */
export interface OutsideHeads {
  readonly given: boolean
  of(organizationId: string): ReadonlyMap<number, Jws<Head>>
}

/** Lines of a heads file (`{"head":"..."}`) or bare JWS. Empty lines are ignored. */
export function readOutsideHeads(texts: readonly string[], keys: KeyRing, findings: Findings): OutsideHeads {
  const byOrganization = new Map<string, Map<number, Jws<Head>>>()
  const lines = texts.flatMap((text) => text.split('\n')).filter((line) => line.trim() !== '')
  for (const [index, line] of lines.entries()) {
    const where = `Line ${index + 1} of the heads from outside`
    const head = readHead(jwsOf(line.trim()))
    if (head === null) {
      findings.add('outside.malformed', `${where} is not a head of the audit.`)
      continue
    }
    if (signatureHolds(head, keys) === false) {
      findings.add('outside.malformed', `${where} has an invalid signature.`, { seal: head.payload.number })
      continue
    }
    const heads = byOrganization.get(head.payload.organization_id) ?? new Map<number, Jws<Head>>()
    byOrganization.set(head.payload.organization_id, heads)
    const known = heads.get(head.payload.number)
    // A head may be written more than once, so duplicates are normal. Two different heads with one number are not.
    if (known !== undefined && known.text !== head.text) {
      findings.add('outside.differs', `${where} is a different seal ${head.payload.number} than an earlier line has.`, {
        seal: head.payload.number,
      })
    }
    heads.set(head.payload.number, head)
  }
  return { given: lines.length > 0, of: (organizationId) => byOrganization.get(organizationId) ?? new Map() }
}

function jwsOf(line: string): string {
  if (!line.startsWith('{')) return line
  try {
    const { head } = JSON.parse(line) as { head?: unknown }
    return typeof head === 'string' ? head : ''
  } catch {
    return ''
  }
}
