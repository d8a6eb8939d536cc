import { parseAllowList, type TargetRules } from '../../src/outbound/target-guard.ts'

/** The rules of callbacks for an operator who allows these entries. */
export const rulesAllowing = (...entries: readonly string[]): TargetRules => ({
  what: 'callback',
  setting: 'CALLBACK_ALLOW',
  allow: parseAllowList(entries),
})
