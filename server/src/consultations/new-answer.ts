import { bodyCheck } from '../platform/validation.ts'
import type { Answer } from './consultation.ts'
import { respondBody } from './schemas.ts'

const check = bodyCheck(respondBody)

/** Throws 422 naming every wrong field. */
export function parseAnswer(body: unknown): Answer {
  const { decision, comment = null, revision, digest, hold_seconds: holdSeconds } = check(body)
  return { decision, comment, revision, digest, holdSeconds }
}
