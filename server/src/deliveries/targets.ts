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
  /** For receivers that are known, by `receiverName`. */
  readonly receivers: Readonly<Record<string, number>>
  /** For a receiver that is not known: of an organization with none under way, and of the others, by id. */
  readonly perNewReceiver: number
  readonly newReceivers: Readonly<Record<string, number>>
  /** The largest weight that fits: in all, for an organization that holds none, and for the others, by id. */
  readonly bytes: number
  readonly organizationBytes: Readonly<Record<string, number>>
}

/** What an attempt showed about its receiver. */
export interface Observation {
  readonly isTargetInTrouble: boolean
  readonly durationMs: number
}

/** What releasing a slot changed. */
export interface Released {
  /** There was no room before: more may be due than was claimed. */
  readonly wasFull: boolean
  /** How long the breaker had been open, if this closed it; null if this opened it. */
  readonly breaker?: { readonly openMs: number | null; readonly failures: number }
}

/** new: has not replied yet; hanging: its last attempt ended without a reply in time. */
type Pace = 'new' | 'quick' | 'slow' | 'hanging'

interface ReceiverState extends Receiver {
  inFlight: number
  /** In a row. */
  failures: number
  pace: Pace
  /** Of its last reply, or of the first delivery under way after one. */
  silentSince: number
  openedAt: number | null
  /** When an open breaker lets the next delivery through. */
  probeAt: number
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
  /** Unix time in milliseconds. */
  readonly now?: () => number
}

/** Smaller bodies weigh nothing: their number is bounded, and large ones that hang do not hold them up. */
export const unweighed = 16_384

/** What a delivery adds to the bytes under way. */
export function weightOf({ bodyBytes }: { readonly bodyBytes: number }): number {
  return bodyBytes > unweighed ? bodyBytes : 0
}

/** A receiver that takes longer to reply is slow. */
const quickMs = 500
/** Under way to a receiver that has not replied yet, or not in time. */
const untilItReplies = 2
/** Each claim names them. One that is forgotten is new again. */
const quickRemembered = 500
const maxRemembered = 10_000
/** An open breaker lets one delivery through after a quarter of the time that it has been open, between these bounds. */
const probeMs = { least: 1_000, most: 60_000 } as const

export function receiverName({ organizationId, target }: Receiver): string {
  return `${organizationId} ${target}`
}

export type Targets = ReturnType<typeof createTargets>

/**
 * Counts the deliveries under way per receiver and organization, in this process.
 *
 * A receiver that keeps failing is only probed, one delivery at a time and ever more rarely, until one gets through: dead
 * receivers cannot hold the slots that others need, and the attempts of what waits for them are not used up.
 *
 * Slow receivers could hold all slots, so an organization gets another slot only while it holds fewer than are free: two may
 * hold a third each, and the next one always finds some (a dynamic threshold, as in the shared buffers of switches: no share
 * needs configuring, and none lies idle). Alone it may have nearly all of them. Within an organization the same rule keeps its
 * slow, hanging and unknown receivers together below what is left for those that reply quickly.
 * Bytes of large bodies are shared among organizations in the same way.
 */
export function createTargets(options: TargetOptions = {}) {
  const { perTarget = 64, total = 1_024, openAfter = 10, totalBytes = 16_777_216, now = Date.now } = options
  const bytes = createByteBudget(totalBytes)
  const states = new Map<string, ReceiverState>()
  const busy = new Map<string, { held: number; readonly receivers: Set<ReceiverState> }>()
  let inFlight = 0
  let forgetAbove = quickRemembered

  const isQuick = (state: ReceiverState, at: number): boolean =>
    state.pace === 'quick' && (state.inFlight === 0 || at - state.silentSince < quickMs)

  const room = (state: ReceiverState, at: number): number => {
    if (state.openedAt !== null) return at >= state.probeAt && state.inFlight === 0 ? 1 : 0
    const hasReplied = state.pace === 'quick' || state.pace === 'slow'
    return (hasReplied ? perTarget : Math.min(untilItReplies, perTarget)) - state.inFlight
  }

  const roomOf = (organizationId: string | null): number => {
    const own = organizationId === null ? undefined : busy.get(organizationId)
    const free = total - inFlight
    const isAlone = busy.size === (own === undefined ? 0 : 1)
    // With each slot it takes, one fewer is free, so it stops at half.
    return Math.max(0, isAlone ? free - Math.floor(total / 16) : Math.ceil((free - (own?.held ?? 0)) / 2))
  }

  /** For the receivers of an organization that are not quick, together. */
  const slowRoomOf = (organizationId: string | null, at: number): number => {
    const own = organizationId === null ? undefined : busy.get(organizationId)
    let held = 0
    for (const state of own?.receivers ?? []) if (!isQuick(state, at)) held += state.inFlight
    return Math.max(0, Math.ceil((roomOf(organizationId) - held) / 2))
  }

  const laneRoom = (state: ReceiverState, at: number): number =>
    isQuick(state, at) ? roomOf(state.organizationId) : slowRoomOf(state.organizationId, at)

  const stateOf = (receiver: Receiver): ReceiverState => {
    const { organizationId, target } = receiver
    const unknown = { inFlight: 0, failures: 0, pace: 'new', silentSince: 0, openedAt: null, probeAt: 0 } as const
    return states.get(receiverName(receiver)) ?? { organizationId, target, ...unknown }
  }

  const hold = (state: ReceiverState, change: 1 | -1): void => {
    const { organizationId } = state
    const own = busy.get(organizationId) ?? { held: 0, receivers: new Set() }
    own.held += change
    inFlight += change
    state.inFlight += change
    if (state.inFlight === 0) own.receivers.delete(state)
    else own.receivers.add(state)
    if (own.held === 0) busy.delete(organizationId)
    else busy.set(organizationId, own)
  }

  /** A healthy receiver that is forgotten has to reply once more; the failures of others are forgotten only when there are very many. */
  const forget = (): void => {
    let quick = 0
    for (const { inFlight, failures } of states.values()) if (inFlight === 0 && failures === 0) quick += 1
    for (const [name, state] of states) {
      const isHealthy = state.failures === 0
      if (state.inFlight > 0 || (isHealthy ? quick <= quickRemembered : states.size <= maxRemembered)) continue
      states.delete(name)
      if (isHealthy) quick -= 1
    }
    forgetAbove = Math.max(quickRemembered, states.size + 100)
  }

  const observe = (state: ReceiverState, seen: Observation, at: number): Released['breaker'] => {
    const wasOpenSince = state.openedAt
    state.silentSince = at
    state.pace = seen.durationMs < quickMs ? 'quick' : seen.isTargetInTrouble ? 'hanging' : 'slow'
    const failures = seen.isTargetInTrouble ? state.failures + 1 : state.failures
    state.failures = seen.isTargetInTrouble ? failures : 0
    if (!seen.isTargetInTrouble) {
      state.openedAt = null
      return wasOpenSince === null ? undefined : { openMs: at - wasOpenSince, failures }
    }
    if (failures < openAfter) return undefined
    state.openedAt ??= at
    state.probeAt = at + Math.min(probeMs.most, Math.max(probeMs.least, (at - state.openedAt) / 4))
    return wasOpenSince === null ? { openMs: null, failures } : undefined
  }

  return {
    /** Takes a slot if one is free. */
    reserve: (receiver: Receiver, weight = 0): boolean => {
      const at = now()
      const state = stateOf(receiver)
      if (room(state, at) <= 0 || laneRoom(state, at) <= 0) return false
      if (weight > 0 && !bytes.take(receiver.organizationId, weight)) return false
      if (state.inFlight === 0) state.silentSince = at
      states.set(receiverName(receiver), state)
      hold(state, 1)
      return true
    },
    /** Releases a slot. `seen` is null if nothing was learned about the receiver. */
    release: (receiver: Receiver, seen: Observation | null, weight = 0): Released => {
      const at = now()
      const name = receiverName(receiver)
      const state = states.get(name)
      if (state === undefined || state.inFlight === 0) return { wasFull: false }
      if (weight > 0) bytes.giveBack(receiver.organizationId, weight)
      const wasFull = weight > 0 || room(state, at) <= 0 || laneRoom(state, at) <= 0
      hold(state, -1)
      const breaker = seen === null ? undefined : observe(state, seen, at)
      states.delete(name)
      if (state.inFlight > 0 || state.pace !== 'new') states.set(name, state)
      if (states.size > forgetAbove) forget()
      return { wasFull, ...(breaker === undefined ? {} : { breaker }) }
    },
    /** Lets the next delivery through an open breaker. */
    probe: (receiver: Receiver): void => {
      const state = states.get(receiverName(receiver))
      if (state !== undefined) state.probeAt = now()
    },
    /** The receivers whose breaker is open. */
    open: (): readonly Receiver[] => [...states.values()].filter(({ openedAt }) => openedAt !== null),
    isOpen: (receiver: Receiver): boolean => (states.get(receiverName(receiver))?.openedAt ?? null) !== null,
    /** How many more deliveries may start now, for all receivers together. */
    free: () => total - inFlight,
    /** Deliveries under way. */
    inUse: () => inFlight,
    limits: (): Limits => {
      const at = now()
      const ids = [...busy.keys()]
      const byId = (of: (organizationId: string) => number) => Object.fromEntries(ids.map((id) => [id, of(id)]))
      const slowRooms = new Map(ids.map((id) => [id, slowRoomOf(id, at)]))
      const slowRoom = (id: string | null) => slowRooms.get(id ?? '') ?? slowRoomOf(null, at)
      const perNew = (id: string | null) => Math.min(untilItReplies, perTarget, slowRoom(id))
      const left = (state: ReceiverState) =>
        Math.min(room(state, at), isQuick(state, at) ? roomOf(state.organizationId) : slowRoom(state.organizationId))
      return {
        perOrganization: roomOf(null),
        organizations: byId(roomOf),
        receivers: Object.fromEntries([...states].map(([name, state]) => [name, Math.max(0, left(state))])),
        perNewReceiver: perNew(null),
        newReceivers: byId(perNew),
        bytes: bytes.room(null),
        organizationBytes: Object.fromEntries([...bytes.holders()].map((id) => [id, bytes.room(id)])),
      }
    },
  }
}
