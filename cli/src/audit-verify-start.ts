import type { Findings } from './audit-verify-findings.ts'
import type { End } from './audit-verify-jws.ts'

const purgeKind = Buffer.from('"kind":"audit.purged","occurred_at":')

interface Purge {
  readonly upToSeal: unknown
  readonly upToPosition: unknown
  readonly position: number
}

/**
 * A file may begin behind seal 1 for two reasons only: it was asked for like that, which its signed end says, or what was
 * before was purged, which an event in the file says.
 */
export function createStart(findings: Findings) {
  let purges: Purge[] = []
  return {
    see: (record: Buffer, position: number): void => {
      if (!record.includes(purgeKind)) return
      const { after } = JSON.parse(record.toString()) as { readonly after: Readonly<Record<string, unknown>> | null }
      purges.push({ upToSeal: after?.up_to_seal, upToPosition: after?.up_to_position, position })
    },
    /** `end`: null when it is missing or forged, which is a finding of its own. Returns the purge behind which the file begins. */
    judge: (firstSeal: number, firstPosition: number, end: End | null): Purge | null => {
      const fitting = purges.find(
        ({ upToSeal, upToPosition }) => upToSeal === firstSeal - 1 && upToPosition === firstPosition - 1,
      )
      purges = []
      if (firstSeal === 1 || end === null || end.after === firstSeal - 1) return null
      if (fitting !== undefined) return fitting
      const begins = `The file begins with seal ${firstSeal} although`
      const asked = end.after === null ? 'everything was asked for' : `what follows seal ${end.after} was asked for`
      if (end.unsealed_purges > 0) {
        const message = `${begins} ${asked}; no event in the file says that what was before was purged, but purges were not sealed yet. Take a new export.`
        findings.add('start.unproven', message, { line: 1, seal: firstSeal - 1 })
      } else {
        const message = `${begins} ${asked}, and no event in the file says that what was before was purged: it was removed.`
        findings.add('start.unexplained', message, { line: 1, seal: firstSeal - 1 })
      }
      return null
    },
  }
}
