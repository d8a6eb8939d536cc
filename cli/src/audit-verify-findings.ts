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
  | 'start.unexplained'
  | 'start.unproven'
  | 'event.edited'
  | 'event.missing'
  | 'event.inserted'
  | 'event.moved'
  | 'event.unsealed'
  | 'event.foreign'
  | 'event.misplaced'
  | 'columns.differ'
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
  | 'seal.revoked_key'
  | 'seal.edited'
  | 'chain.broken'
  | 'end.missing'
  | 'end.forged'
  | 'end.unknown_key'
  | 'end.revoked_key'
  | 'end.contradicts'
  | 'outside.malformed'
  | 'outside.torn'
  | 'outside.unknown_key'
  | 'outside.differs'
  | 'outside.cut_off'

export interface Findings {
  add(code: FindingCode, message: string, place?: Partial<Pick<Finding, 'line' | 'position' | 'seal'>>): void
  readonly count: () => number
  /** How many of them do not show a change. */
  readonly unproven: () => number
  /** In the order of the file. */
  readonly list: () => readonly Finding[]
}

/** These do not show a change: what is true cannot be known from the file and the keys given. */
const unprovenCodes: ReadonlySet<FindingCode> = new Set([
  'start.unproven',
  'erasable.unproven',
  'seal.unknown_key',
  'seal.revoked_key',
  'end.unknown_key',
  'end.revoked_key',
  'outside.torn',
  'outside.unknown_key',
])

/** Limits the memory used for a file that is wrong throughout. */
const kept = 1_000

export function createFindings(): Findings {
  const found: Finding[] = []
  let count = 0
  let unproven = 0
  return {
    add: (code, message, { line = null, position = null, seal = null } = {}) => {
      count += 1
      if (unprovenCodes.has(code)) unproven += 1
      if (found.length < kept) found.push({ line, position, seal, code, message })
    },
    count: () => count,
    unproven: () => unproven,
    list: () =>
      found.toSorted((a, b) => (a.line ?? Number.POSITIVE_INFINITY) - (b.line ?? Number.POSITIVE_INFINITY) || 0),
  }
}
