import type { ParsedJson } from '../platform/json.ts'
import { invalid } from '../platform/problem.ts'
import { bodyCheck } from '../platform/validation.ts'
import type { ReportedOutcome } from './consultation.ts'
import { outcomeBody, outcomeDataBytes } from './outcome-schemas.ts'

const check = bodyCheck(outcomeBody)

/** Throws 422 naming every wrong field. */
export function parseOutcome({ value, members }: ParsedJson): ReportedOutcome {
  const { status, detail = null, data = null } = check(value)
  const text = data === null ? null : (members.get('data') ?? null)
  // It is shown with the request, in lists too.
  if (text !== null && Buffer.byteLength(text) > outcomeDataBytes) {
    throw invalid(
      'data',
      `is larger than ${outcomeDataBytes / 1_024} KiB. Send a summary, or where the rest can be found`,
    )
  }
  return { status, detail, data: text }
}
