import type { End } from './audit-verify-jws.ts'

/** How the file compares with the heads from outside. */
export interface ComparedHeads {
  /** Heads of this organization that are in the file, and the highest seal among them. */
  readonly compared: number
  readonly comparedUpToSeal: number | null
  /** Of seals before the file begins. */
  readonly before: number
  /** Of seals that were made after the export. */
  readonly later: number
  readonly ofOthers: number
}

export interface Known {
  readonly firstSeal: number
  readonly lastSeal: number
  /** The purge behind which the file begins. */
  readonly purge: { readonly position: number } | null
  readonly end: End | null
  readonly heads: ComparedHeads
  readonly vouched: number
  readonly unproven: number
  readonly late: { readonly count: number; readonly position: number } | null
}

/** What the file cannot prove, in sentences for people. */
export function limitsOf({
  firstSeal,
  lastSeal,
  purge,
  end,
  heads,
  vouched,
  unproven,
  late,
}: Known): readonly string[] {
  const limits: string[] = []
  if (firstSeal > 1) {
    const why =
      purge === null
        ? 'as it was asked for'
        : `because those before were purged, as the event at position ${purge.position} says`
    limits.push(`The file begins with seal ${firstSeal}, ${why}: it proves nothing about the events before.`)
  }
  if (end !== null && end.unsealed_events > 0) {
    const { unsealed_events: events, exported_at: at } = end
    limits.push(`${events} events were not sealed yet at ${at} and are not in the file.`)
  }
  if (heads.compared === 0) {
    limits.push(
      'No head from outside was compared, so nothing shows that this is the only history. Anyone who controls the database can remove the last seals and change what they covered: the service seals the rest anew once it was restarted without AUDIT_HEADS_FILE. With the signing key they can write all of it anew. Compare with the heads that were written elsewhere.',
    )
  } else if ((heads.comparedUpToSeal ?? 0) < lastSeal) {
    limits.push(
      `The heads from outside reach up to seal ${heads.comparedUpToSeal}: nothing shows that what follows, up to seal ${lastSeal}, is the only history.`,
    )
  }
  if (heads.before > 0) {
    limits.push(`${heads.before} of the heads from outside belong to seals before the file begins: they were not used.`)
  }
  if (end !== null) {
    limits.push(`The file shows what was there at ${end.exported_at}, not what came later.`)
  }
  if (heads.later > 0) {
    limits.push(
      `${heads.later} of the heads from outside were sealed after that, so it does not contain their events. If the file is supposed to be newer, it was cut off.`,
    )
  }
  if (unproven > 0) {
    limits.push(
      `${unproven} erasable parts are missing, and ${end?.unsealed_erasures ?? 0} erasures were not sealed yet when the export was made: only a new export can show whether these erased them or the parts were cut out.`,
    )
  }
  if (vouched > 0) {
    limits.push(
      `${vouched} seals are signed with keys that were revoked later; seals of other keys, or heads from outside, vouch for them.`,
    )
  }
  if (late !== null) {
    limits.push(
      `${late.count} events say that they happened more than an hour before the seal in front of them was made, the first at position ${late.position}: they were recorded late, or put in with an earlier time.`,
    )
  }
  return limits
}
