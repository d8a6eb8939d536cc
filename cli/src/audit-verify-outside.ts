import type { Findings } from './audit-verify-findings.ts'
import { type Head, type Jws, type KeyRing, readHead, standingOf } from './audit-verify-jws.ts'
import { fetchKeys } from './audit-verify-seals.ts'

/** Heads from outside the database, by organization and number. */
export interface OutsideHeads {
  of(organizationId: string): ReadonlyMap<number, Jws<Head>>
  /** How many belong to other organizations. */
  besides(organizationId: string): number
}

/** Lines of a heads file (`{"head":"..."}`) or bare JWS. Empty lines are ignored. */
export function readOutsideHeads(texts: readonly string[], keys: KeyRing, findings: Findings): OutsideHeads {
  const byOrganization = new Map<string, Map<number, Jws<Head>>>()
  const unknown = new Map<string, number>()
  const lines = texts.flatMap((text) => text.split('\n')).filter((line) => line.trim() !== '')
  for (const [index, line] of lines.entries()) {
    const where = `Line ${index + 1} of the heads from outside`
    const text = line.trim()
    if (isTorn(text)) {
      // The head is written again when the service runs again: the same line, whole.
      if (lines.slice(index + 1).some((later) => later.trim().startsWith(text))) continue
      const message = `${where} ends early: the service ended while it wrote it. Nothing shows which head it was to be.`
      findings.add('outside.torn', message)
      continue
    }
    const head = readHead(jwsOf(text))
    if (head === null) {
      findings.add('outside.malformed', `${where} is not a head of the audit.`)
      continue
    }
    const { standing, why } = standingOf(head, head.payload.sealed_at, keys)
    if (standing === 'unknown') {
      unknown.set(head.kid, (unknown.get(head.kid) ?? 0) + 1)
      continue
    }
    if (standing === 'forged') {
      findings.add('outside.malformed', `${where} is forged: ${why}.`, { seal: head.payload.number })
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
  for (const [kid, count] of unknown) {
    const heads = count === 1 ? '1 head from outside is' : `${count} heads from outside are`
    const message = `${heads} signed with the key ${kid}, which is not in the key set, and not compared. ${fetchKeys}`
    findings.add('outside.unknown_key', message)
  }
  return {
    of: (organizationId) => byOrganization.get(organizationId) ?? new Map(),
    besides: (organizationId) =>
      [...byOrganization].reduce((sum, [owner, heads]) => sum + (owner === organizationId ? 0 : heads.size), 0),
  }
}

/** The braces of a line of the heads file are its first and its last character. */
function isTorn(line: string): boolean {
  return line.startsWith('{') && !line.includes('}')
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
