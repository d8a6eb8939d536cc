/**
 * How many deliveries are under way per target (an organization's receiver), in this process. A target that keeps failing
 * is only probed, one delivery at a time, until one gets through: so dead receivers cannot hold the slots that others need.
 */
export interface Targets {
  /** Takes a slot if one is free. */
  reserve(target: string): boolean
  /** Gives a slot back; `trouble` says whether the target itself failed. Null: nothing was learned. */
  release(target: string, trouble: boolean | null): void
  /** How many more deliveries may start now, over all targets. */
  free(): number
  /** Targets that may take fewer than `perTarget` more, and how many. */
  limits(): Readonly<Record<string, number>>
}

interface TargetState {
  readonly inFlight: number
  readonly failures: number
}

export interface TargetOptions {
  /** In flight to one target at most. */
  readonly perTarget?: number
  /** In flight at most: sockets are cheap, and a hanging receiver holds its slots for a whole attempt. */
  readonly total?: number
  /** Failures in a row that open the breaker. Above the attempts of one callback, so that one bad answer does not. */
  readonly openAfter?: number
}

const maxRemembered = 10_000

export function createTargets({ perTarget = 64, total = 1_024, openAfter = 10 }: TargetOptions = {}): Targets {
  const states = new Map<string, TargetState>()
  let inFlight = 0

  const room = (state: TargetState): number => (state.failures >= openAfter ? 1 : perTarget) - state.inFlight

  return {
    reserve: (target) => {
      const state = states.get(target) ?? { inFlight: 0, failures: 0 }
      if (inFlight >= total || room(state) <= 0) return false
      inFlight += 1
      states.set(target, { ...state, inFlight: state.inFlight + 1 })
      return true
    },
    release: (target, trouble) => {
      const state = states.get(target)
      if (state === undefined) return
      inFlight -= 1
      const failures = trouble === null ? state.failures : trouble ? state.failures + 1 : 0
      const left = { inFlight: state.inFlight - 1, failures }
      // A healthy idle target needs no memory; a dead one's is given up only when there are very many of them.
      if (left.inFlight === 0 && (failures === 0 || states.size > maxRemembered)) states.delete(target)
      else states.set(target, left)
    },
    free: () => total - inFlight,
    limits: () => {
      const entries = [...states].map(([target, state]) => [target, Math.max(0, room(state))] as const)
      return Object.fromEntries(entries.filter(([, left]) => left < perTarget))
    },
  }
}
