import { refusal } from '../../platform/problem.ts'

/** Risk is friction: what a decision takes in each tier. */

export const risks = ['low', 'medium', 'high', 'critical'] as const
export type Risk = (typeof risks)[number]
export const defaultRisk: Risk = 'medium'

export const priorities = ['low', 'normal', 'high', 'urgent'] as const
export type Priority = (typeof priorities)[number]
export const defaultPriority: Priority = 'normal'

/** Where a person answers. A session of their own, by cookie or as a bearer token, is the inbox. */
export const surfaces = ['inbox', 'slack', 'mail', 'cli'] as const
export type Surface = (typeof surfaces)[number]

/** What a person did so that an approval cannot be a slip. */
export interface Confirmation {
  readonly acknowledged?: boolean | undefined
  readonly typed?: string | undefined
}

export const confirmationMethods = ['acknowledged', 'typed', 'step_up'] as const
export type ConfirmationMethod = (typeof confirmationMethods)[number]

interface Tier {
  /** Any of these will do; empty: one key is enough. */
  readonly confirmedBy: readonly ConfirmationMethod[]
  readonly surfaces: readonly Surface[]
  /** Of rejecting, and of editing arguments. */
  readonly needsReason: boolean
  readonly inBulk: 'any' | 'identical' | 'never'
}

export const tiers: Readonly<Record<Risk, Tier>> = {
  low: { confirmedBy: [], surfaces, needsReason: false, inBulk: 'any' },
  medium: { confirmedBy: [], surfaces, needsReason: false, inBulk: 'identical' },
  high: { confirmedBy: confirmationMethods, surfaces: ['inbox'], needsReason: true, inBulk: 'never' },
  critical: { confirmedBy: ['typed', 'step_up'], surfaces: ['inbox'], needsReason: true, inBulk: 'never' },
}

export const surfaceRefused = refusal(
  403,
  'consultation.surface_refused',
  (risk: Risk, surface: Surface) => ({
    detail: `A request of ${risk} risk is decided in the inbox, not here. Open it there.`,
    extra: { risk, surface, surfaces: tiers[risk].surfaces },
  }),
  'high',
  'mail',
)

export const confirmationRequired = refusal(
  403,
  'consultation.confirmation_required',
  (risk: Risk, expected: string) => {
    const { confirmedBy } = tiers[risk]
    return {
      detail: confirmedBy.includes('acknowledged')
        ? 'This request is of high risk. Nothing was decided. Confirm the approval: send confirmation {"acknowledged": true} with it.'
        : 'This request is of critical risk. Nothing was decided. Confirm the approval: send confirmation {"typed": ...} with ' +
          `exactly this name: ${expected}. Or send the token of a step-up for this call in X-Step-Up.`,
      extra: { risk, confirmed_by: confirmedBy, ...(confirmedBy.includes('acknowledged') ? {} : { expected }) },
    }
  },
  'high',
  'Delete 3 unused volumes in production?',
)

/** The name that a person types to confirm. */
export function nameToType(target: string | null, actionName: string | null, title: string): string {
  return target ?? actionName ?? title
}

const sameName = (a: string, b: string): boolean => a.normalize('NFC').trim() === b.normalize('NFC').trim()

/** How an approval was confirmed; null where one key is enough. Throws 403 where the tier asks for more. */
export function requireConfirmed(
  risk: Risk,
  expected: string,
  confirmation: Confirmation | null,
  hasStepUp: boolean,
): ConfirmationMethod | null {
  const { confirmedBy } = tiers[risk]
  if (confirmedBy.length === 0) return null
  if (hasStepUp && confirmedBy.includes('step_up')) return 'step_up'
  const { typed, acknowledged } = confirmation ?? {}
  if (typed !== undefined && confirmedBy.includes('typed') && sameName(typed, expected)) return 'typed'
  if (acknowledged === true && confirmedBy.includes('acknowledged')) return 'acknowledged'
  throw confirmationRequired(risk, expected)
}

/** Throws 403 where requests of this risk are not decided. */
export function requireSurface(risk: Risk, surface: Surface): void {
  if (!tiers[risk].surfaces.includes(surface)) throw surfaceRefused(risk, surface)
}
