import { createByteBudget } from '../platform/limits/byte-budget.ts'

/** A receiver of one organization: its trouble with the receiver does not affect other organizations. */
export interface Receiver {
  readonly organizationId: string
  readonly target: string
}

/** How many more deliveries may start now. */
export interface Limits {
  /** For an organization with none under way. */
  readonly perOrganization: number
  /** For the other organizations, by id. */
  readonly organizations: Readonly<Record<string, number>>
  /** For receivers with a lower limit than usual, by `receiverName`. */
  readonly receivers: Readonly<Record<string, number>>
  /** The largest weight that fits: in all, for an organization that holds none, and for the others, by id. */
  readonly bytes: number
  readonly organizationBytes: Readonly<Record<string, number>>
}

interface ReceiverState {
  readonly inFlight: number
  readonly failures: number
}

export interface TargetOptions {
  /** The most deliveries under way to one receiver. */
  readonly perTarget?: number
  /** The most deliveries under way: sockets are cheap, and a hanging receiver holds its slots for a whole attempt. */
  readonly total?: number
  /** Failures in a row that open the breaker: more than the attempts of one callback, so that a single bad one does not. */
  readonly openAfter?: number
  /** The most that the bodies under way weigh. */
  readonly totalBytes?: number
}

/** Smaller bodies weigh nothing: their number is bounded, and large ones that hang do not hold them up. */
export const unweighed = 16_384

/** What a delivery adds to the bytes under way. */
export function weightOf({ body }: { readonly body: string }): number {
  const bytes = Buffer.byteLength(body)
  return bytes > unweighed ? bytes : 0
}

const maxRemembered = 10_000

export function receiverName({ organizationId, target }: Receiver): string {
  return `${organizationId} ${target}`
}

export type Targets = ReturnType<typeof createTargets>

/**
 * Counts the deliveries under way per receiver and organization, in this process. A receiver that keeps failing is only
 * probed, one delivery at a time, until one gets through, so dead receivers cannot hold the slots that others need. Slow
 * receivers could, so an organization gets another slot only while it holds fewer than are free: alone it may hold half of
 * them, two may hold a third each, and the next one always finds some (a dynamic threshold, as in the shared buffers of
 * switches: no share needs configuring, and none lies idle). Bytes of large bodies are shared in the same way.
 */
export function createTargets(options: TargetOptions = {}) {
  const { perTarget = 64, total = 1_024, openAfter = 10, totalBytes = 16_777_216 } = options
  const bytes = createByteBudget(totalBytes)
  const states = new Map<string, ReceiverState>()
  const heldBy = new Map<string, number>()
  let inFlight = 0

  const room = (state: ReceiverState): number => (state.failures >= openAfter ? 1 : perTarget) - state.inFlight
  // With each slot it takes, one fewer is free, so it stops at half.
  const roomOf = (held: number): number => Math.max(0, Math.ceil((total - inFlight - held) / 2))

  const hold = (organizationId: string, change: number): void => {
    const held = (heldBy.get(organizationId) ?? 0) + change
    inFlight += change
    if (held === 0) heldBy.delete(organizationId)
    else heldBy.set(organizationId, held)
  }

  return {
    /** Takes a slot if one is free. */
    reserve: (receiver: Receiver, weight = 0): boolean => {
      const name = receiverName(receiver)
      const state = states.get(name) ?? { inFlight: 0, failures: 0 }
      if (room(state) <= 0 || roomOf(heldBy.get(receiver.organizationId) ?? 0) <= 0) return false
      if (weight > 0 && !bytes.take(receiver.organizationId, weight)) return false
      hold(receiver.organizationId, 1)
      states.set(name, { ...state, inFlight: state.inFlight + 1 })
      return true
    },
    /**
     * Releases a slot. Null: nothing was learned about the receiver. Returns whether there was no room before, which means
     * that more may be due than was claimed.
     */
    release: (receiver: Receiver, isInTrouble: boolean | null, weight = 0): boolean => {
      const name = receiverName(receiver)
      const state = states.get(name)
      if (state === undefined || state.inFlight === 0) return false
      if (weight > 0) bytes.giveBack(receiver.organizationId, weight)
      const wasFull = weight > 0 || room(state) <= 0 || roomOf(heldBy.get(receiver.organizationId) ?? 0) <= 0
      hold(receiver.organizationId, -1)
      const failures = isInTrouble === null ? state.failures : isInTrouble ? state.failures + 1 : 0
      const left = { inFlight: state.inFlight - 1, failures }
      // A healthy idle receiver needs no entry; a dead one's is dropped only when there are very many.
      if (left.inFlight === 0 && (failures === 0 || states.size > maxRemembered)) states.delete(name)
      else states.set(name, left)
      return wasFull
    },
    /** How many more deliveries may start now, for all receivers together. */
    free: () => total - inFlight,
    limits: (): Limits => {
      const entries = [...states].map(([name, state]) => [name, Math.max(0, room(state))] as const)
      return {
        perOrganization: roomOf(0),
        organizations: Object.fromEntries([...heldBy].map(([organizationId, held]) => [organizationId, roomOf(held)])),
        receivers: Object.fromEntries(entries.filter(([, left]) => left < perTarget)),
        bytes: bytes.room(null),
        organizationBytes: Object.fromEntries([...bytes.holders()].map((id) => [id, bytes.room(id)])),
      }
    },
  }
}
