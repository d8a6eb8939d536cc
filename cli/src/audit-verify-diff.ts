import { leafBytes } from './audit-verify-tree.ts'

/** What happened to one record of a batch. Places count from 0, within the batch as sealed and as found. */
export type Difference =
  | { readonly kind: 'edited' | 'moved'; readonly sealed: number; readonly found: number }
  | { readonly kind: 'missing'; readonly sealed: number }
  | { readonly kind: 'inserted'; readonly found: number }

/** Compares the batch's leaves as they were sealed with those of the records that are there: each hash is one record. */
export function differences(sealed: Buffer, found: Buffer): readonly Difference[] {
  const was = leafList(sealed)
  const is = leafList(found)
  const known = new Set(was)
  const present = new Set(is)
  const result: Difference[] = []
  let i = 0
  let j = 0
  while (i < was.length || j < is.length) {
    const expected = was[i]
    const actual = is[j]
    if (expected === actual) {
      i += 1
      j += 1
    } else if (expected !== undefined && !present.has(expected) && (actual === undefined || known.has(actual))) {
      result.push({ kind: 'missing', sealed: i })
      i += 1
    } else if (actual !== undefined && (expected === undefined || (!known.has(actual) && present.has(expected)))) {
      result.push({ kind: 'inserted', found: j })
      j += 1
    } else if (expected !== undefined && actual !== undefined) {
      result.push({ kind: known.has(actual) ? 'moved' : 'edited', sealed: i, found: j })
      i += 1
      j += 1
    } else {
      // If it is in the file all the same, it was moved forward and has been reported there.
      result.push({ kind: 'missing', sealed: i })
      i += 1
    }
  }
  return result
}

function leafList(leaves: Buffer): readonly string[] {
  return Array.from({ length: leaves.length / leafBytes }, (_, place) =>
    leaves.toString('latin1', place * leafBytes, (place + 1) * leafBytes),
  )
}
