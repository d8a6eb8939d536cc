/** Where one organization's deliveries go: its trouble with a receiver is not another's. */
export interface Receiver {
  readonly organizationId: string
  readonly target: string
}

/**
 * How many deliveries are under way per receiver and organization, in this process. A receiver that keeps failing is only
 * probed, one delivery at a time, until one gets through: so dead receivers cannot hold the slots that others need. Slow
 * ones that do answer can, so an organization gets another slot only while it holds fewer than are free: alone it may hold
 * half of them, two may hold a third each, and the next one always finds some (a dynamic threshold, as in the shared
 * buffers of switches: no share has to be set up, and none lies idle for the absent).
 */
export interface Targets {
  /** Takes a slot if one is free. */
  reserve(receiver: Receiver): boolean
  /**
   * Gives a slot back. Null: nothing was learned about the receiver. Returns whether there was no room before, so that more
   * may be due than was claimed.
   */
  release(receiver: Receiver, isInTrouble: boolean | null): boolean
  /** How many more deliveries may start now, over all receivers. */
  free(): number
  limits(): Limits
}

/** How many more deliveries may start now. */
export interface Limits {
  /** For an organization that has none under way. */
  readonly perOrganization: number
  /** For the other organizations, by id. */
  readonly organizations: Readonly<Record<string, number>>
  /** For receivers that may take fewer than one receiver may, by `receiverName`. */
  readonly receivers: Readonly<Record<string, number>>
}

interface ReceiverState {
  readonly inFlight: number
  readonly failures: number
}

export interface TargetOptions {
  /** In flight to one receiver at most. */
  readonly perTarget?: number
  /** In flight at most: sockets are cheap, and a hanging receiver holds its slots for a whole attempt. */
  readonly total?: number
  /** Failures in a row that open the breaker. Above the attempts of one callback, so that one bad answer does not. */
  readonly openAfter?: number
}

const maxRemembered = 10_000

export function receiverName({ organizationId, target }: Receiver): string {
  return `${organizationId} ${target}`
}

export function createTargets({ perTarget = 64, total = 1_024, openAfter = 10 }: TargetOptions = {}): Targets {
  const states = new Map<string, ReceiverState>()
  const heldBy = new Map<string, number>()
  let inFlight = 0

  const room = (state: ReceiverState): number => (state.failures >= openAfter ? 1 : perTarget) - state.inFlight
  // With each slot it takes one fewer is free: it meets the threshold half-way.
  const roomOf = (held: number): number => Math.max(0, Math.ceil((total - inFlight - held) / 2))

  const hold = (organizationId: string, change: number): void => {
    const held = (heldBy.get(organizationId) ?? 0) + change
    inFlight += change
    if (held === 0) heldBy.delete(organizationId)
    else heldBy.set(organizationId, held)
  }

  return {
    reserve: (receiver) => {
      const name = receiverName(receiver)
      const state = states.get(name) ?? { inFlight: 0, failures: 0 }
      if (room(state) <= 0 || roomOf(heldBy.get(receiver.organizationId) ?? 0) <= 0) return false
      hold(receiver.organizationId, 1)
      states.set(name, { ...state, inFlight: state.inFlight + 1 })
      return true
    },
    release: (receiver, isInTrouble) => {
      const name = receiverName(receiver)
      const state = states.get(name)
      if (state === undefined || state.inFlight === 0) return false
      const wasFull = room(state) <= 0 || roomOf(heldBy.get(receiver.organizationId) ?? 0) <= 0
      hold(receiver.organizationId, -1)
      const failures = isInTrouble === null ? state.failures : isInTrouble ? state.failures + 1 : 0
      const left = { inFlight: state.inFlight - 1, failures }
      // A healthy idle receiver needs no memory; a dead one's is given up only when there are very many of them.
      if (left.inFlight === 0 && (failures === 0 || states.size > maxRemembered)) states.delete(name)
      else states.set(name, left)
      return wasFull
    },
    free: () => total - inFlight,
    limits: () => {
      const entries = [...states].map(([name, state]) => [name, Math.max(0, room(state))] as const)
      return {
        perOrganization: roomOf(0),
        organizations: Object.fromEntries([...heldBy].map(([organizationId, held]) => [organizationId, roomOf(held)])),
        receivers: Object.fromEntries(entries.filter(([, left]) => left < perTarget)),
      }
    },
  }
}
