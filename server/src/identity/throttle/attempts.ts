import { createHmac, createSecretKey, hkdfSync } from 'node:crypto'
import { createBatcher, type Outcome } from '../../platform/batch.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction } from '../../platform/database/db.ts'
import { provesRollback } from '../../platform/database/errors.ts'
import { callersNetwork, networksOf } from '../../platform/network-address.ts'
import { refusal } from '../../platform/problem.ts'
import * as store from './store.ts'
import {
  type AttemptKind,
  admit,
  afterNothing,
  afterSuccess,
  blank,
  look,
  rulesOf,
  type Tallies,
  type Tally,
} from './throttle.ts'

/** The account and network of an attempt, and what it tries to prove. */
export interface Attempter {
  readonly kind: AttemptKind
  /** The account, in the form that is compared (an address's key, an account's id); null when the secret names none. */
  readonly subject: string | null
  /** `request.client.network`, or an address; null if there is none. */
  readonly network: string | null
}

export const throttled = refusal(
  429,
  'auth.throttled',
  (waitMs: number) => {
    const seconds = Math.max(1, Math.ceil(waitMs / 1_000))
    return {
      detail: `Too many attempts have failed. Try again in ${seconds} s.`,
      headers: { 'retry-after': String(seconds) },
    }
  },
  2_000,
)

/** Throttling of sign-in, second-factor codes and tokens from links: the same for accounts that exist and that do not. */
export interface Attempts {
  /** Throws 429 when nothing may be tried now; counts nothing. For what has to queue before it is tried. */
  look(by: Attempter): Promise<Admission>
  /** Throws 429 while no attempt is allowed; otherwise the attempt counts as failed until it is taken back. */
  before(by: Attempter): Promise<Admission>
  succeeded(by: Attempter): Promise<void>
  failed(by: Attempter): Promise<void>
  /** Nothing was tried after all. */
  withdrawn(by: Attempter): Promise<void>
  /** `before`, the proof, and what came of it: an error means that nothing was tried. */
  prove(by: Attempter, proof: () => Promise<boolean>): Promise<boolean>
}

export interface Admission {
  /** The account has proved itself from this network before: it has a line of its own where there is a queue. */
  readonly known: boolean
}

interface Act {
  readonly by: Attempter
  readonly step: 'look' | 'before' | 'succeeded' | 'withdrawn'
}

interface Keys {
  readonly pair: string | null
  readonly networks: readonly string[]
  readonly account: string | null
}

const forgetEveryMs = 600_000

export function createAttempts(db: Db, clock: Clock, secretKey: string): Attempts {
  // HMACs, so that the table contains no addresses or networks and its readers cannot find them by guessing.
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', secretKey, '', 'hitl attempts v1', 32)))
  const hmac = (...parts: readonly string[]): string =>
    createHmac('sha256', key).update(JSON.stringify(parts)).digest('hex').slice(0, 32)
  const keysOf = ({ kind, subject, network: given }: Attempter): Keys => {
    const network = callersNetwork(given)
    return {
      pair: subject === null ? null : hmac(kind, 'pair', subject, network),
      networks: networksOf(network).map((one) => hmac(kind, 'network', one)),
      account: subject === null ? null : hmac(kind, 'account', subject),
    }
  }
  let forgotAt = performance.now()

  const forget = async (): Promise<void> => {
    while (await store.forget(db.within({}), clock.now())) {}
  }

  // One at a time: a flood of sign-ins waits for this process's one transaction, not for the connections that others need.
  const act = createBatcher<Act, Admission>({
    concurrency: 1,
    maxSize: 128,
    rolledBack: provesRollback,
    perform: async (acts) => {
      const keys = acts.map(({ by }) => keysOf(by))
      const all = new Set(keys.flatMap(({ pair, networks, account }) => [pair, ...networks, account]))
      all.delete(null)
      if (performance.now() - forgotAt > forgetEveryMs) {
        forgotAt = performance.now()
        // Nobody waits for it; what is left over is found the next time.
        forget().catch(() => {})
      }
      return inTransaction(db, {}, async (tx) => {
        const tallies = await store.lockedTallies(tx, [...all] as readonly string[])
        const changed = new Map<string, Tally>()
        const now = clock.now().getTime()
        const outcomes = acts.map((one, index) => decide(one, keys[index] as Keys, tallies, changed, now))
        if (changed.size > 0) tx.last(store.save(tx, changed))
        return outcomes
      })
    },
  })

  const attempts: Attempts = {
    look: (by) => act({ by, step: 'look' }),
    before: (by) => act({ by, step: 'before' }),
    succeeded: async (by) => void (await act({ by, step: 'succeeded' })),
    // It was counted before it was tried.
    failed: async () => {},
    withdrawn: async (by) => void (await act({ by, step: 'withdrawn' })),
    prove: async (by, proof) => {
      await attempts.before(by)
      const proved = await proof().catch(async (error: unknown) => {
        await attempts.withdrawn(by)
        throw error
      })
      await (proved ? attempts.succeeded(by) : attempts.failed(by))
      return proved
    },
  }
  return attempts
}

/** One act on the tallies as those before it in the batch have left them. */
function decide(
  { by, step }: Act,
  keys: Keys,
  tallies: Map<string, Tally>,
  changed: Map<string, Tally>,
  now: number,
): Outcome<Admission> {
  const of = (name: string): Tally => tallies.get(name) ?? blank
  const given: Tallies = {
    pair: keys.pair === null ? null : of(keys.pair),
    networks: keys.networks.map(of),
    account: keys.account === null ? null : of(keys.account),
  }
  const keep = (after: Tallies): void => {
    const names = [keys.pair, keys.account, ...keys.networks]
    for (const [at, tally] of [after.pair, after.account, ...after.networks].entries()) {
      const name = names[at] ?? null
      if (name === null || tally === null || isSame(of(name), tally)) continue
      tallies.set(name, tally)
      changed.set(name, tally)
    }
  }
  if (step === 'succeeded' || step === 'withdrawn') {
    keep(step === 'succeeded' ? afterSuccess(given, now) : afterNothing(given, now))
    return { value: { known: false } }
  }
  const verdict = (step === 'look' ? look : admit)(rulesOf[by.kind], given, now)
  keep(verdict.after)
  return verdict.admitted ? { value: { known: verdict.known } } : { error: throttled(verdict.waitMs) }
}

function isSame(one: Tally, other: Tally): boolean {
  return (
    one.failures === other.failures &&
    one.failedAt === other.failedAt &&
    one.notBefore === other.notBefore &&
    one.knownAt === other.knownAt
  )
}
