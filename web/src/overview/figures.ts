import type { Schemas } from '../api/client.ts'

type Request = Schemas['Request']

export interface Rate {
  readonly id: string
  readonly decided: number
  readonly approved: number
}

/** How often each of them ended in an approval, the most decided first. */
export function approvalRates(requests: readonly Request[], of: (request: Request) => string | null): readonly Rate[] {
  const rates = new Map<string, { decided: number; approved: number }>()
  for (const request of requests) {
    const id = of(request)
    const decision = request.response?.decision ?? null
    if (id === null || decision === null) continue
    const rate = rates.get(id) ?? { decided: 0, approved: 0 }
    rates.set(id, {
      decided: rate.decided + 1,
      approved: rate.approved + (decision === 'approve' ? 1 : 0),
    })
  }
  return [...rates].map(([id, rate]) => ({ id, ...rate })).sort((a, b) => b.decided - a.decided)
}

const waits = (requests: readonly Request[]): readonly number[] =>
  requests.flatMap(({ created_at, responded_at }) =>
    responded_at === null ? [] : [Date.parse(responded_at) - Date.parse(created_at)],
  )

/** Seconds from the question to the answer that half of them took at most; null where nothing was answered. */
export function medianWaitSeconds(requests: readonly Request[]): number | null {
  const sorted = [...waits(requests)].sort((a, b) => a - b)
  if (sorted.length === 0) return null
  const middle = Math.floor(sorted.length / 2)
  const high = sorted[middle] ?? 0
  const low = sorted.length % 2 === 1 ? high : (sorted[middle - 1] ?? high)
  return (low + high) / 2 / 1_000
}
