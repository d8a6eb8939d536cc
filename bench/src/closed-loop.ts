import { setTimeout as delay } from 'node:timers/promises'
import type { Latency } from './plan.ts'

/** One act of one worker. Checks the reply and throws if it is wrong; may return further times by name, in ms. */
export type Act<Times extends string = never> = (worker: number) => Promise<Readonly<Record<Times, number>>>

export interface LoopOptions {
  readonly concurrency: number
  readonly warmUpMs: number
  readonly measuredMs: number
  /** Called when the measured time begins and when it ends. */
  readonly onEdge: () => void
}

export interface Measured<Times extends string> {
  readonly perSecond: number
  readonly latency: Latency
  readonly times: Partial<Record<Times, Latency>>
  readonly errors: Readonly<Record<string, number>>
}

/**
 * A closed loop of `concurrency` workers: each begins its next act when the last one has its reply. Every act that ends within
 * the measured time counts, so those under way at the start make up for those cut off at the end.
 */
export async function runClosedLoop<Times extends string>(
  act: Act<Times>,
  { concurrency, warmUpMs, measuredMs, onEdge }: LoopOptions,
): Promise<Measured<Times>> {
  const samples: number[] = []
  const times = new Map<Times, number[]>()
  const errors: Record<string, number> = {}
  let phase: 'warm-up' | 'measured' | 'over' = 'warm-up'

  const work = async (worker: number): Promise<void> => {
    while (phase !== 'over') {
      const begun = performance.now()
      try {
        const further = await act(worker)
        if (phase !== 'measured') continue
        samples.push(performance.now() - begun)
        for (const name in further) append(times, name, further[name])
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error)
        errors[text] = (errors[text] ?? 0) + 1
        // Do not hammer a service that refuses everything.
        await delay(20)
      }
    }
  }

  const workers = Array.from({ length: concurrency }, (_, worker) => work(worker))
  await delay(warmUpMs)
  onEdge()
  const begun = performance.now()
  phase = 'measured'
  await delay(measuredMs)
  phase = 'over'
  const seconds = (performance.now() - begun) / 1_000
  onEdge()
  await Promise.all(workers)
  const latencies = [...times].map(([name, list]) => [name, latencyOf(list)] as const)
  return {
    perSecond: samples.length / seconds,
    latency: latencyOf(samples),
    times: Object.fromEntries(latencies) as Partial<Record<Times, Latency>>,
    errors,
  }
}

function append<Name extends string>(lists: Map<Name, number[]>, name: Name, value: number): void {
  const list = lists.get(name)
  if (list === undefined) lists.set(name, [value])
  else list.push(value)
}

/** By the nearest rank over all samples; NaN if there are none. */
export function latencyOf(samples: readonly number[]): Latency {
  const sorted = Float64Array.from(samples).sort()
  const rank = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
  return { p50: rank(0.5), p99: rank(0.99) }
}
