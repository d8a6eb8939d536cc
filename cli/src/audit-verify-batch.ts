import { type Difference, differences } from './audit-verify-diff.ts'
import type { Findings } from './audit-verify-findings.ts'
import type { Head } from './audit-verify-jws.ts'
import { leafBytes, merkleRoot } from './audit-verify-tree.ts'

/** The events found in the place of a seal's batch. */
export interface FoundBatch {
  readonly leaves: Buffer
  /** The line of each event. */
  readonly lines: readonly number[]
  /** The line of the seal. */
  readonly line: number
}

/**
 * Checks the events against the seal's head; true if they are what was sealed. If the head's root vouches for the leaf hashes
 * beside it, they show which event is wrong.
 */
export function judgeBatch(found: FoundBatch, head: Head, leafText: string, findings: Findings): boolean {
  const { number: seal, first, last, root } = head
  const { line, lines, leaves } = found
  const size = last - first + 1
  if (leaves.length === size * leafBytes && merkleRoot(leaves) === root) {
    if (leaves.toString('base64') === leafText) return true
    const message = `The leaf hashes beside seal ${seal} were changed; its events are as sealed.`
    findings.add('seal.edited', message, { line, seal })
    return true
  }
  const sealed = Buffer.from(leafText, 'base64')
  const complete = sealed.toString('base64') === leafText && sealed.length === size * leafBytes
  if (size < 1 || !complete || merkleRoot(sealed) !== root) {
    const message = `The ${lines.length} events before seal ${seal} are not the ${size} that it sealed, positions ${first} to ${last}; its list of leaf hashes was changed too, so it cannot show which.`
    findings.add('event.edited', message, { line: lines[0] ?? line, seal, position: first })
    return false
  }
  for (const difference of differences(sealed, leaves)) reportDifference(difference, found, head, findings)
  return false
}

function reportDifference(difference: Difference, { lines, line }: FoundBatch, head: Head, findings: Findings): void {
  const position = 'sealed' in difference ? head.first + difference.sealed : null
  const place = { line: 'found' in difference ? (lines[difference.found] ?? line) : line, position, seal: head.number }
  const messages = {
    edited: `The record at position ${position} is not the one that was sealed.`,
    moved: `Another record of the same batch is where position ${position} belongs.`,
    missing: `The record at position ${position} is missing.`,
    inserted: 'This record was never sealed.',
  } as const
  findings.add(`event.${difference.kind}`, messages[difference.kind], place)
}
