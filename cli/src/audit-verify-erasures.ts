import type { EventLine } from './audit-verify-event-line.ts'
import type { Findings } from './audit-verify-findings.ts'

const erasureKind = Buffer.from('"kind":"audit.erased","occurred_at":')

interface Place {
  readonly line: number
  readonly position: number
}

/**
 * An erasable part may be missing only if the audit says so: an event `audit.erased` lists the ids of the events that it erased,
 * so a part that was cut out of the file is found. Keeps one entry per erased event in memory.
 */
export function createErasures(findings: Findings) {
  const erased = new Map<string, Place>()
  /** The position of the last event that says so. */
  const explained = new Map<string, number>()

  return {
    see: (bytes: Buffer, { recordStart, recordEnd, erasable }: EventLine, line: number, position: number): void => {
      const record = bytes.subarray(recordStart, recordEnd)
      if (erasable === 'erased') erased.set(String(parse(record).id), { line, position })
      if (!record.includes(erasureKind)) return
      const { events } = (parse(record).after ?? {}) as { events?: unknown }
      if (Array.isArray(events)) for (const id of events) explained.set(String(id), position)
    },
    /**
     * `pending` counts erasures whose own events were not sealed yet when the export ended. The file does not say what they erased,
     * so a missing part without an event may have been erased by them or cut out.
     */
    finish: (pending: number): { readonly erased: number; readonly unproven: number } => {
      let unproven = 0
      for (const [id, { line, position }] of erased) {
        // Nothing is erased before it is there.
        if ((explained.get(id) ?? 0) > position) continue
        if (pending === 0) {
          const message = 'The erasable part is missing, and no event says that it was erased.'
          findings.add('erasable.missing', message, { line, position })
        } else {
          unproven += 1
          const message =
            'The erasable part is missing; no event in the file says that it was erased, but erasures were not sealed yet.'
          findings.add('erasable.unproven', message, { line, position })
        }
      }
      return { erased: erased.size, unproven }
    },
  }
}

function parse(record: Buffer): Record<string, unknown> {
  try {
    return JSON.parse(record.toString()) as Record<string, unknown>
  } catch {
    return {}
  }
}
