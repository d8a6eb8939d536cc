import { refusal } from '../platform/problem.ts'

/** While it lasts, an organization's events stay, and so does the organization. */
export const legalHold = refusal(
  409,
  'audit.legal_hold',
  'The audit is under legal hold: nothing in it can be erased, and its organization cannot be deleted. Lift the hold first.',
)
