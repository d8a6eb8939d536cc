import { judgeBatch } from './audit-verify-batch.ts'
import { createErasures } from './audit-verify-erasures.ts'
import { readEventLine } from './audit-verify-event-line.ts'
import type { Findings } from './audit-verify-findings.ts'
import { type End, type Head, type Jws, type KeyRing, readEnd, readHead, signatureHolds } from './audit-verify-jws.ts'
import type { OutsideHeads } from './audit-verify-outside.ts'
import { createSignatures } from './audit-verify-seals.ts'
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
  let sealedEvents = 0

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
    signatures.add(last, line, true)
    compareOutside(last)
  }

  const event = (bytes: Buffer, start: number, stop: number): void => {
    const found = readEventLine(bytes, start, stop)
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
    signatures.add(head, line, joins)
    const asSealed = judgeBatch({ leaves: batch.leaves(), lines, line }, payload, parts[2] ?? '', findings)
    if (asSealed && joins && batch.link().toString('hex') !== payload.link) {
      const message = `The chain's link of seal ${payload.number} does not follow from its events.`
      findings.add('chain.broken', message, { line, seal: payload.number })
    }
    compareOutside(head)
    sealedEvents += batch.size()
    number = payload.number + 1
    position = payload.last + 1
    last = head
    lastReadable = true
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

  const compareOutside = (head: Jws<Head>): void => {
    const known = outsideHeads.get(head.payload.number)
    if (known === undefined || known.text === head.text) return
    const message = `Seal ${head.payload.number} is not the one that was written outside the database: the history was rewritten.`
    findings.add('outside.differs', message, { line, seal: head.payload.number })
  }

  const readEndLine = (text: string): void => {
    end = readEnd(endForm.exec(text)?.[1] ?? '')
    if (end === null) {
      findings.add('end.forged', 'This line should be the end of the export, but is not.', { line })
      return
    }
    const holds = signatureHolds(end, keys)
    if (holds !== true) {
      const why = holds === null ? `the key ${end.kid} is not in the key set` : 'its signature is invalid'
      findings.add('end.forged', `The end of the export proves nothing: ${why}.`, { line })
    }
  }

  const judgeEnd = ({ payload }: Jws<End>): void => {
    const stated = [payload.organization_id, payload.first_seal, payload.last_seal, payload.last_position]
    const is = [organizationId, firstSeal, number - 1, position - 1]
    const same = stated.every((value, index) => value === is[index])
    if (same && (!lastReadable || payload.last_seal_sha256 === (last?.sha256 ?? null))) return
    const message = `The export was made with seals ${payload.first_seal} to ${payload.last_seal} and ends at position ${payload.last_position}; this file holds seals ${firstSeal} to ${number - 1} and ends at position ${position - 1}.`
    findings.add('end.contradicts', message, { line })
  }

  /** Checks heads from outside that come after the end of the file. Returns how many of them were sealed after the export was made. */
  const judgeOutside = (): number => {
    const behind = [...outsideHeads.values()].filter(({ payload }) => payload.number > number - 1)
    // Only the signed end is evidence of that time.
    const exportedAt = end !== null && signatureHolds(end, keys) === true ? end.payload.exported_at : null
    const missing = behind.filter(({ payload }) => exportedAt === null || payload.sealed_at < exportedAt)
    const newest = missing.toSorted((a, b) => a.payload.number - b.payload.number).at(-1)?.payload
    if (newest !== undefined) {
      const message = `Seal ${newest.number} of ${newest.sealed_at} was written outside, this file ends with seal ${number - 1}: positions ${position} to ${newest.last} are missing.`
      findings.add('outside.cut_off', message, { seal: newest.number, position })
    }
    return behind.length - missing.length
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
    const later = judgeOutside()
    const pendingErasures = end?.payload.unsealed_erasures ?? 0
    const { erased, unproven } = erasures.finish(pendingErasures)
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
      limits: limitsOf({ firstSeal, end, outside: outside.given, later, vouched, unproven, pendingErasures }),
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

function limitsOf(known: {
  readonly firstSeal: number
  readonly end: Jws<End> | null
  readonly outside: boolean
  readonly later: number
  readonly vouched: number
  readonly unproven: number
  readonly pendingErasures: number
}): readonly string[] {
  const limits: string[] = []
  if (known.firstSeal > 1) {
    limits.push(`The file begins with seal ${known.firstSeal}: it proves nothing about the events before.`)
  }
  if (known.end !== null && known.end.payload.unsealed_events > 0) {
    const { unsealed_events: events, exported_at: at } = known.end.payload
    limits.push(`${events} events were not sealed yet at ${at} and are not in the file.`)
  }
  if (!known.outside) {
    limits.push(
      'Without a head from outside nothing shows that this is the only history: anyone who controls both the database and its signing key could have written another one. Compare with the heads that were written elsewhere.',
    )
  }
  if (known.end !== null) {
    limits.push(`The file shows what was there at ${known.end.payload.exported_at}, not what came later.`)
  }
  if (known.later > 0) {
    limits.push(
      `${known.later} of the heads from outside were sealed after that, so it does not contain their events. If the file is supposed to be newer, it was cut off.`,
    )
  }
  if (known.unproven > 0) {
    limits.push(
      `${known.unproven} erasable parts are missing, and ${known.pendingErasures} erasures were not sealed yet when the export was made: only a new export can show whether these erased them or the parts were cut out.`,
    )
  }
  if (known.vouched > 0) {
    limits.push(
      `${known.vouched} seals are signed with keys that are not in the key set; later seals, which are, vouch for them.`,
    )
  }
  return limits
}
