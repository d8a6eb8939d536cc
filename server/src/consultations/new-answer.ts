import type { JsonText, ParsedJson } from '../platform/json.ts'
import { invalidAll } from '../platform/problem.ts'
import { bodyCheck } from '../platform/validation.ts'
import type { Answer } from './consultation.ts'
import { respondBody } from './schemas.ts'

const check = bodyCheck(respondBody)

/** Of the values of a form, and of edited arguments: they are stored, signed for and shown whole. */
const maxBytes = 262_144

/** Throws 422 naming every wrong field. What of it was asked for is looked at later. */
export function parseAnswer({ value, members }: ParsedJson): Answer {
  const {
    decision = null,
    comment = null,
    choices = null,
    confirmation = null,
    attachments = null,
    revision,
    digest,
    hold_seconds: holdSeconds,
  } = check(value)
  const [data, args] = [asWritten(members, 'data'), asWritten(members, 'args')]
  const errors = Object.entries({ data, args })
    .filter(([, text]) => text !== null && Buffer.byteLength(text) > maxBytes)
    .map(([path]) => ({ path, message: `must have at most ${maxBytes / 1024} KiB` }))
  if (errors.length > 0) throw invalidAll(errors)
  const ids = attachments?.map((id) => id.toLowerCase()) ?? null
  return { decision, comment, choices, data, args, attachments: ids, confirmation, revision, digest, holdSeconds }
}

function asWritten(members: ParsedJson['members'], name: string): JsonText | null {
  const text = members.get(name)
  return text === undefined || text === 'null' ? null : text
}
