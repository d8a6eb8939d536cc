const known = ['low', 'medium', 'high', 'critical'] as const
export type Risk = (typeof known)[number]

/** A risk that this version does not know is shown, and treated, as the highest. */
export const riskOf = (given: string): Risk => known.find((risk) => risk === given) ?? 'critical'
