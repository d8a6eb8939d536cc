/**
 * How failed proofs of identity slow the next ones down. Tallies are kept per account and network, per network (in IPv6 also
 * per /56 and /48 around it), and per account. The rules (NIST SP 800-63B-4, 3.2.2; OWASP ASVS 5.0, 6.3.1) and what each one means for people and attackers:
 *
 * - A pair of account and network waits longer after each failure. Only somebody on the same
 *   network can use that against the owner, and never for longer than a minute.
 * - A network that fails with many accounts waits between attempts, whichever account it names.
 * - An account that fails from many networks lets a network that is new to it try only after a pause of its own. The pause
 *   belongs to the pair, not to the account: no attacker, from however many places, can use it up.
 * - A pair that has proved itself before is *known*. It counts in its own tally alone and is held up by nothing else, so
 *   nobody elsewhere can lock its owner out.
 *
 * An unknown account has the same tallies as a known one: nothing here tells which it is.
 */
export interface Tally {
  readonly failures: number
  /** Milliseconds since 1970, as all times here. */
  readonly failedAt: number
  /** Nothing is tried before this; null when there is nothing to wait for. */
  readonly notBefore: number | null
  readonly knownAt: number | null
}

export const blank: Tally = { failures: 0, failedAt: 0, notBefore: null, knownAt: null }

/** A pair and an account are null where a secret names no account, such as a token from a link. */
export interface Tallies {
  readonly pair: Tally | null
  /** The caller's network, and the wider ones around it. */
  readonly networks: readonly Tally[]
  readonly account: Tally | null
}

interface Pace {
  /** Failures that cost nothing: people mistype. */
  readonly free: number
  /** The wait doubles with each failure beyond them, from a second up to this. Always below a minute. */
  readonly capMs: number
}

export interface Rules {
  readonly pair: Pace
  readonly network: Pace
  readonly account: Pace
  /** Beyond so many failures of an account, networks that are new to it share one attempt per cap; null: never. */
  readonly shared: Pace | null
}

export type AttemptKind = 'password' | 'code' | 'token'

const capMs = 50_000

export const rulesOf: Readonly<Record<AttemptKind, Rules>> = {
  password: {
    pair: { free: 10, capMs },
    network: { free: 30, capMs: 30_000 },
    account: { free: 20, capMs: 45_000 },
    shared: null,
  },
  // Six digits, and an attacker who gets to guess them already has the password: a botnet would find them by sheer numbers. The shared
  // attempt can hold up the owner in a new place, which takes a stolen password; a known place, a passkey or an admin helps.
  code: {
    pair: { free: 5, capMs },
    network: { free: 30, capMs: 30_000 },
    account: { free: 10, capMs: 45_000 },
    shared: { free: 100, capMs: 30_000 },
  },
  token: {
    pair: { free: 10, capMs },
    network: { free: 20, capMs: 30_000 },
    account: { free: 20, capMs },
    shared: null,
  },
}

/** After this long without a failure, earlier failures are forgotten. */
export const forgetAfterMs = 3_600_000
/** How long a network stays known to an account that does not come back. */
export const knownForMs = 90 * 86_400_000

export type Verdict =
  | { readonly admitted: true; readonly known: boolean; readonly after: Tallies }
  | { readonly admitted: false; readonly waitMs: number; readonly after: Tallies }

/**
 * Whether something may be tried now. An attempt that is admitted counts as failed from here on, so that no number of
 * simultaneous ones gets through on one count; `afterSuccess` and `afterNothing` take that back.
 */
export function admit(rules: Rules, given: Tallies, now: number): Verdict {
  const before = remembered(given, now)
  const { pair, networks, account } = before
  const refuse = (waitMs: number, after = before): Verdict => ({ admitted: false, waitMs, after })
  if (pair !== null && waits(pair, now) > 0) return refuse(waits(pair, now))
  if (pair !== null && isKnown(pair, now)) {
    return { admitted: true, known: true, after: { ...before, pair: failed(pair, rules.pair, now) } }
  }
  const elsewhere = Math.max(...[...networks, ...(account === null ? [] : [account])].map((tally) => waits(tally, now)))
  if (elsewhere > 0) return refuse(elsewhere)
  const pause = account === null ? 0 : delay(rules.account, account.failures)
  if (pair !== null && pause > 0 && pair.notBefore === null) {
    return refuse(pause, { ...before, pair: { ...pair, notBefore: now + pause, failedAt: now } })
  }
  return { admitted: true, known: false, after: counted(rules, before, now) }
}

/** Whether it would be admitted now, without counting it. A pause that begins with the first attempt begins here too. */
export function look(rules: Rules, given: Tallies, now: number): Verdict {
  const verdict = admit(rules, given, now)
  return verdict.admitted ? { ...verdict, after: remembered(given, now) } : verdict
}

function counted(rules: Rules, { pair, networks, account }: Tallies, now: number): Tallies {
  const accountAfter = account === null ? null : failed(account, rules.shared, now)
  // This network has waited once and need not be refused again: its next pause begins now.
  const pause = accountAfter === null ? 0 : delay(rules.account, accountAfter.failures)
  const pairAfter = pair === null ? null : failed(pair, rules.pair, now)
  return {
    pair: pairAfter === null || pause === 0 ? pairAfter : later(pairAfter, now + pause),
    networks: networks.map((network) => failed(network, rules.network, now)),
    account: accountAfter,
  }
}

/** The pair is known from now on, and what the attempt had counted is taken back. */
export function afterSuccess(given: Tallies, now: number): Tallies {
  const { networks, account } = afterNothing(given, now)
  const pair = given.pair === null ? null : { ...blank, failedAt: given.pair.failedAt, knownAt: now }
  return { pair, networks, account }
}

/** Nothing was tried after all (the service was too busy). Waits that others may rely on stay. */
export function afterNothing({ pair, networks, account }: Tallies, now: number): Tallies {
  const less = (tally: Tally): Tally => ({ ...tally, failures: Math.max(0, tally.failures - 1) })
  const alone = pair !== null && isKnown(pair, now)
  return {
    // A wait that was over before this attempt stays over.
    pair: pair === null ? null : { ...less(pair), notBefore: pair.failedAt },
    networks: alone ? networks : networks.map(less),
    account: alone || account === null ? account : less(account),
  }
}

function isKnown(pair: Tally, now: number): boolean {
  return pair.knownAt !== null && now - pair.knownAt < knownForMs
}

function waits(tally: Tally, now: number): number {
  return Math.max(0, (tally.notBefore ?? 0) - now)
}

/** Nothing up to `free` failures, then 1 s, 2 s, 4 s ... up to the cap. */
export function delay(pace: Pace, failures: number): number {
  if (failures <= pace.free) return 0
  return Math.min(pace.capMs, 1_000 * 2 ** Math.min(failures - pace.free - 1, 20))
}

function failed(tally: Tally, pace: Pace | null, now: number): Tally {
  const failures = tally.failures + 1
  const wait = pace === null ? 0 : delay(pace, failures)
  return { ...tally, failures, failedAt: now, notBefore: wait === 0 ? null : now + wait }
}

function later(tally: Tally, notBefore: number): Tally {
  return { ...tally, notBefore: Math.max(tally.notBefore ?? 0, notBefore) }
}

function remembered({ pair, networks, account }: Tallies, now: number): Tallies {
  const fresh = (tally: Tally): Tally =>
    now - tally.failedAt < forgetAfterMs ? tally : { ...tally, failures: 0, notBefore: null }
  return {
    pair: pair === null ? null : fresh(pair),
    networks: networks.map(fresh),
    account: account === null ? null : fresh(account),
  }
}
