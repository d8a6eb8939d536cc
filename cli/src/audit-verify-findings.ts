/** What is wrong, and where. */
export interface Finding {
  /** The line of the file, from 1; null if the finding is about no line. */
  readonly line: number | null
  /** The position in the organization's chain, from 1. */
  readonly position: number | null
  readonly seal: number | null
  /** A stable identifier for programs. */
  readonly code: FindingCode
  /** A sentence for people. */
  readonly message: string
}

export type FindingCode =
  | 'header.malformed'
  | 'line.malformed'
  | 'event.edited'
  | 'event.missing'
  | 'event.inserted'
  | 'event.moved'
  | 'event.unsealed'
  | 'position.wrong'
  | 'erasable.edited'
  | 'erasable.inserted'
  | 'erasable.missing'
  | 'erasable.unproven'
  | 'seal.malformed'
  | 'seal.missing'
  | 'seal.out_of_place'
  | 'seal.forged'
  | 'seal.unknown_key'
  | 'seal.edited'
  | 'chain.broken'
  | 'end.missing'
  | 'end.forged'
  | 'end.contradicts'
  | 'outside.malformed'
  | 'outside.differs'
  | 'outside.cut_off'

export interface Findings {
  add(code: FindingCode, message: string, place?: Partial<Pick<Finding, 'line' | 'position' | 'seal'>>): void
  readonly count: () => number
  /** Findings that do not show a change, because the file alone cannot tell. */
  readonly unproven: () => number
  /** In the order of the file. */
  readonly list: () => readonly Finding[]
}

/** Limits the memory used for a file that is wrong throughout. */
const kept = 1_000

export function createFindings(): Findings {
  const found: Finding[] = []
  let count = 0
  let unproven = 0
  return {
    add: (code, message, { line = null, position = null, seal = null } = {}) => {
      count += 1
      if (code === 'erasable.unproven') unproven += 1
      if (found.length < kept) found.push({ line, position, seal, code, message })
    },
    count: () => count,
    unproven: () => unproven,
    list: () =>
      found.toSorted((a, b) => (a.line ?? Number.POSITIVE_INFINITY) - (b.line ?? Number.POSITIVE_INFINITY) || 0),
  }
}
