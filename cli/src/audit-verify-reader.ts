import { judgeBatch } from './audit-verify-batch.ts'
import { createErasures } from './audit-verify-erasures.ts'
import { readEventLine } from './audit-verify-event-line.ts'
import type { Findings } from './audit-verify-findings.ts'
import { type End, type Head, type Jws, type KeyRing, readEnd, readHead, standingOf } from './audit-verify-jws.ts'
import { limitsOf } from './audit-verify-limits.ts'
import type { OutsideHeads } from './audit-verify-outside.ts'
import { createSignatures, fetchKeys } from './audit-verify-seals.ts'
import { createStart } from './audit-verify-start.ts'
import { createBatch, leafBytes } from './audit-verify-tree.ts'

const headerForm =
  /^\{"hitl_audit_export":1,"organization_id":"([0-9a-f-]{36})","first_seal":([1-9]\d{0,15}),"first_position":([1-9]\d{0,15}),"previous":(?:null|"([\w.-]+)")\}$/
const sealForm = /^\{"seal":"([\w.-]+)","leaves":"([A-Za-z0-9+/=]*)"\}$/
const endForm = /^\{"end":"([\w.-]+)"\}$/

/** Reads an export line by line and keeps one batch in memory. */
export function createExportReader(keys: KeyRing, outside: OutsideHeads, findings: Findings) {
  const batch = createBatch()
  const signatures = createSignatures(keys, findings)
  const erasures = createErasures(findings)
  const start = createStart(findings)
  let line = 0
  let organizationId: string | null = null
  let outsideHeads: ReadonlyMap<number, Jws<Head>> = new Map()
  let firstPosition: number | null = null
  let firstSeal = 1
  let events = 0
  let seals = 0
  /** The lines of the batch's events. */
  let lines: number[] = []
  /** The difference between the positions in the lines and their actual places. */
  let shift = 0
  /** What the next event and seal must be. `last` is the previous seal; null if there is none or it is unreadable. */
  let position = 1
  let number = 1
  let last: Jws<Head> | null = null
  let lastReadable = true
  let end: Jws<End> | null = null
  /** What the end says, unless it is forged. Where its key is unknown or leaked, that is a finding of its own. */
  let told: End | null = null
  let sealedEvents = 0
  /** Heads from outside that are in the file, and the highest number among them. */
  let compared = 0
  let comparedUpTo: number | null = null
  /** Events that say they happened before this, an hour before the last seal was made, and where the first of them is. */
  let lateBefore = ''
  let late: { count: number; position: number } | null = null

  const header = (text: string): void => {
    const parts = headerForm.exec(text)
    if (parts === null) {
      findings.add('header.malformed', 'The first line is not the header of an audit export.', { line })
      return
    }
    const [, organization = '', seal, first, previous] = parts
    organizationId = organization
    outsideHeads = outside.of(organization)
    number = Number(seal)
    firstSeal = number
    position = Number(first)
    firstPosition = position
    if (previous === undefined) {
      if (number !== 1 || position !== 1) {
        findings.add('header.malformed', 'The header names no previous seal, but the first seal is not seal 1.', {
          line,
        })
      }
      return
    }
    last = readHead(previous)
    lastReadable = last !== null
    const fits =
      last !== null &&
      last.payload.organization_id === organization &&
      last.payload.number === number - 1 &&
      last.payload.last === position - 1
    if (last === null || !fits) {
      findings.add('header.malformed', 'The header does not match the seal before the first one.', { line })
      return
    }
    batch.clear(Buffer.from(last.payload.link, 'hex'))
    lateBefore = anHourBefore(last.payload.sealed_at)
    signatures.add(last, { line, joins: true, isOutside: compareOutside(last) })
  }

  const event = (bytes: Buffer, from: number, stop: number): void => {
    const found = readEventLine(bytes, from, stop)
    if (found === null) {
      findings.add('line.malformed', 'This line is not an event, seal or end of an audit export.', { line })
      return
    }
    const expected = position + batch.size()
    // Report it once: after a missing line, all later positions are shifted.
    if (found.position - expected !== shift) {
      shift = found.position - expected
      const message = `This line says position ${found.position} where position ${expected} belongs.`
      findings.add('position.wrong', message, { line, position: expected })
    }
    if (found.erasable === 'edited') {
      findings.add('erasable.edited', 'The erasable part does not match its hash in the record.', {
        line,
        position: expected,
      })
    } else if (found.erasable === 'inserted') {
      findings.add('erasable.inserted', 'There is an erasable part, but the record holds no hash for it.', {
        line,
        position: expected,
      })
    }
    const record = bytes.subarray(found.recordStart, found.recordEnd)
    if (found.organizationId !== organizationId) {
      const message = 'This record belongs to another organization: it was put in.'
      findings.add('event.foreign', message, { line, position: expected })
    }
    if (found.occurredAt < lateBefore) late = { count: (late?.count ?? 0) + 1, position: late?.position ?? expected }
    start.see(record, expected)
    erasures.see(bytes, found, line, expected)
    batch.add(bytes, found.recordStart, found.recordEnd)
    lines.push(line)
    events += 1
  }

  const seal = (text: string): void => {
    const parts = sealForm.exec(text)
    const head = parts === null ? null : readHead(parts[1] ?? '')
    if (parts === null || head === null) {
      findings.add('seal.malformed', `This line should be seal ${number}, but is not a seal.`, { line, seal: number })
      forget()
      return
    }
    const { payload } = head
    seals += 1
    if (payload.organization_id !== organizationId) {
      const message = `Seal ${payload.number} belongs to organization ${payload.organization_id}.`
      findings.add('seal.out_of_place', message, { line, seal: payload.number })
    }
    if (payload.number > number && lastReadable) {
      const message = `Seal ${payload.number} is where seal ${number} belongs: ${payload.number - number} missing, with positions ${position} to ${payload.first - 1}.`
      findings.add('seal.missing', message, { line, seal: number, position })
    } else if (payload.number !== number && lastReadable) {
      findings.add('seal.out_of_place', `Seal ${payload.number} is where seal ${number} belongs.`, {
        line,
        seal: payload.number,
      })
    }
    const joins = lastReadable && (payload.previous_seal_sha256 ?? null) === (last?.sha256 ?? null)
    if ((!joins || payload.first !== position) && lastReadable && payload.number === number) {
      const message = `Seal ${payload.number} follows another seal ${payload.number - 1} than the one before it.`
      findings.add('chain.broken', message, { line, seal: payload.number })
    }
    signatures.add(head, { line, joins, isOutside: compareOutside(head) })
    const asSealed = judgeBatch({ leaves: batch.leaves(), lines, line }, payload, parts[2] ?? '', findings)
    if (asSealed && joins && batch.link().toString('hex') !== payload.link) {
      const message = `The chain's link of seal ${payload.number} does not follow from its events.`
      findings.add('chain.broken', message, { line, seal: payload.number })
    }
    sealedEvents += batch.size()
    number = payload.number + 1
    position = payload.last + 1
    last = head
    lastReadable = true
    lateBefore = anHourBefore(payload.sealed_at)
    lines = []
    shift = 0
    batch.clear(Buffer.from(payload.link, 'hex'))
  }

  /** Skips a batch that cannot be checked and starts over with the next one. */
  const forget = (): void => {
    last = null
    lastReadable = false
    lines = []
    position += batch.size()
    number += 1
    batch.clear(Buffer.alloc(leafBytes))
  }

  /** True when the same head was written outside. */
  const compareOutside = (head: Jws<Head>): boolean => {
    const known = outsideHeads.get(head.payload.number)
    if (known === undefined) return false
    if (known.text === head.text) {
      compared += 1
      comparedUpTo = Math.max(comparedUpTo ?? 0, head.payload.number)
      return true
    }
    const message = `Seal ${head.payload.number} is not the one that was written outside the database: the history was rewritten.`
    findings.add('outside.differs', message, { line, seal: head.payload.number })
    return false
  }

  const readEndLine = (text: string): void => {
    end = readEnd(endForm.exec(text)?.[1] ?? '')
    if (end === null) {
      findings.add('end.forged', 'This line should be the end of the export, but is not.', { line })
      return
    }
    const { standing, why } = standingOf(end, end.payload.exported_at, keys)
    if (standing === 'forged') {
      findings.add('end.forged', `The end of the export is forged: ${why}.`, { line })
      return
    }
    told = end.payload
    const isPinned = last !== null && outsideHeads.get(last.payload.number)?.text === last.text
    if (standing === 'unknown') {
      const message = `The end of the export is signed with the key ${end.kid}, which ${why}. ${fetchKeys}`
      findings.add('end.unknown_key', message, { line })
    } else if (standing === 'revoked' && !isPinned) {
      const message = `The end of the export is signed with the key ${end.kid}, which ${why}: anybody who has that key could have cut off the file. Take a new export, or compare with heads from outside.`
      findings.add('end.revoked_key', message, { line })
    }
  }

  const judgeEnd = ({ payload }: Jws<End>): void => {
    const stated = [payload.organization_id, payload.first_seal, payload.last_seal, payload.last_position]
    const is = [organizationId, firstSeal, number - 1, position - 1]
    const same = stated.every((value, index) => value === is[index])
    if (payload.misplaced_events > 0) {
      const message = `${payload.misplaced_events} events of the table stand where no transaction has been yet: they were put in, and are not in the file.`
      findings.add('event.misplaced', message, { line })
    }
    if (payload.mismatched_columns > 0) {
      const message = `In ${payload.mismatched_columns} rows of the table the columns that lists search by contradict the record: lists, timelines and evidence packs of the service do not show what is here.`
      findings.add('columns.differ', message, { line })
    }
    if (same && (!lastReadable || payload.last_seal_sha256 === (last?.sha256 ?? null))) return
    const message = `The export was made with seals ${payload.first_seal} to ${payload.last_seal} and ends at position ${payload.last_position}; this file holds seals ${firstSeal} to ${number - 1} and ends at position ${position - 1}.`
    findings.add('end.contradicts', message, { line })
  }

  /** Reports heads from outside that should be in the file behind its last seal, and counts those that need not be. */
  const judgeOutside = () => {
    const heads = [...outsideHeads.values()].map(({ payload }) => payload)
    const behind = heads.filter((head) => head.number > number - 1)
    const missing = behind.filter((head) => told === null || head.sealed_at < told.exported_at)
    const newest = missing.toSorted((a, b) => a.number - b.number).at(-1)
    if (newest !== undefined) {
      const message = `Seal ${newest.number} of ${newest.sealed_at} was written outside, this file ends with seal ${number - 1}: positions ${position} to ${newest.last} are missing.`
      findings.add('outside.cut_off', message, { seal: newest.number, position })
    }
    return {
      compared,
      comparedUpToSeal: comparedUpTo,
      before: heads.filter((head) => head.number < firstSeal - 1).length,
      later: behind.length - missing.length,
      ofOthers: outside.besides(organizationId ?? ''),
    }
  }

  const finish = (bytesLeft: number) => {
    if (line === 0) findings.add('header.malformed', 'The file is empty.', { line: 1 })
    if (bytesLeft > 0) {
      findings.add('line.malformed', 'The last line is incomplete: the file was cut off.', { line: line + 1 })
    }
    if (batch.size() > 0) {
      const message = `The ${batch.size()} events from here on have no seal: the file was cut off, or they were added.`
      findings.add('event.unsealed', message, { line: lines[0] ?? line, position })
    }
    if (end === null) {
      findings.add('end.missing', 'The export has no end: the file was cut off.', { line: line + 1 })
    } else {
      judgeEnd(end)
    }
    const vouched = signatures.finish()
    const heads = judgeOutside()
    const purge = start.judge(firstSeal, firstPosition ?? 1, told)
    const { erased, unproven } = erasures.finish(end?.payload.unsealed_erasures ?? 0)
    const lastSeal = number - 1
    return {
      organizationId,
      events,
      seals,
      erased,
      firstPosition,
      lastPosition: sealedEvents === 0 ? null : position - 1,
      lastSeal:
        last === null ? null : { number: last.payload.number, sealedAt: last.payload.sealed_at, head: last.text },
      exportedAt: end?.payload.exported_at ?? null,
      heads,
      limits: limitsOf({ firstSeal, lastSeal, purge, end: end?.payload ?? null, heads, vouched, unproven, late }),
    }
  }

  return {
    line: (bytes: Buffer, start: number, stop: number): void => {
      line += 1
      // The second character of the first member's name tells the kind of line; the line must then have exactly that form.
      const kind = bytes[start + 2]
      if (end !== null) {
        findings.add('line.malformed', 'There is a line after the end of the export.', { line })
      } else if (line === 1) header(bytes.toString('utf8', start, stop))
      else if (kind === 0x73) seal(bytes.toString('latin1', start, stop))
      else if (kind === 0x65) readEndLine(bytes.toString('latin1', start, stop))
      else event(bytes, start, stop)
    },
    finish,
  }
}

const anHourBefore = (time: string): string => new Date(Date.parse(time) - 3_600_000).toISOString()
