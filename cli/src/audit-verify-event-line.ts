import { hash } from 'node:crypto'

/** Where the parts of an event's line are, in its bytes. */
export interface EventLine {
  readonly position: number
  readonly recordStart: number
  readonly recordEnd: number
  /** As the record names it; empty when it does not. */
  readonly organizationId: string
  readonly occurredAt: string
  readonly erasable: 'none' | 'whole' | 'erased' | 'edited' | 'inserted'
}

const prefix = Buffer.from('{"position":')
const beforeRecord = Buffer.from(',"record":{')
const beforeErasable = Buffer.from(',"erasable":{')
const recordTail = Buffer.from(',"v":1}')
const hashName = Buffer.from('"erasable_sha256":')
const timeName = Buffer.from('"occurred_at":"')
const organizationName = Buffer.from('"organization_id":"')
const zero = 0x30
const brace = 0x7d

/**
 * `{"position":17,"record":{...}}`, or with `,"erasable":{...}` after the record. Null if it is not exactly that. By the
 * sorting of RFC 8785 a record ends with its `v`, and its hash of the erasable part, its time and its organization are the last
 * members of those names.
 */
export function readEventLine(bytes: Buffer, start: number, end: number): EventLine | null {
  if (!holds(bytes, prefix, start, end) || bytes[end - 1] !== brace) return null
  let at = start + prefix.length
  let position = 0
  for (; at < end; at += 1) {
    const digit = (bytes[at] ?? 0) - zero
    if (digit < 0 || digit > 9) break
    position = position * 10 + digit
  }
  const canonical = at > start + prefix.length && bytes[start + prefix.length] !== zero && position <= 2 ** 52
  if (!canonical || !holds(bytes, beforeRecord, at, end)) return null
  const recordStart = at + beforeRecord.length - 1
  const rest = bytes.subarray(recordStart, end - 1)
  const split = rest.lastIndexOf(beforeErasable)
  const parted = split >= recordTail.length && endsWith(rest, recordTail, split)
  const record = parted ? rest.subarray(0, split) : rest
  if (!endsWith(record, recordTail, record.length)) return null
  const expected = hashIn(record)
  const erasable = parted ? rest.subarray(split + beforeErasable.length - 1) : null
  return {
    position,
    recordStart,
    recordEnd: recordStart + record.length,
    organizationId: textAfter(record, organizationName, 36),
    occurredAt: textAfter(record, timeName, 24),
    erasable: judge(expected, erasable),
  }
}

function judge(expected: string | null, erasable: Buffer | null): EventLine['erasable'] {
  if (erasable === null) return expected === null ? 'none' : 'erased'
  if (expected === null) return 'inserted'
  return hash('sha256', erasable) === expected ? 'whole' : 'edited'
}

/** The text of a member of this length; it is the last one of its name. */
function textAfter(record: Buffer, name: Buffer, length: number): string {
  const at = record.lastIndexOf(name)
  return at < 0 ? '' : record.toString('latin1', at + name.length, at + name.length + length)
}

function hashIn(record: Buffer): string | null {
  const at = record.lastIndexOf(hashName)
  const value = at + hashName.length
  if (at < 0 || record[value] !== 0x22) return null
  return record.toString('latin1', value + 1, value + 65)
}

function holds(bytes: Buffer, expected: Buffer, at: number, end: number): boolean {
  return at + expected.length <= end && bytes.compare(expected, 0, expected.length, at, at + expected.length) === 0
}

function endsWith(bytes: Buffer, tail: Buffer, end: number): boolean {
  return end >= tail.length && bytes.compare(tail, 0, tail.length, end - tail.length, end) === 0
}
