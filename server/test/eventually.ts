import { setTimeout as delay } from 'node:timers/promises'

const patienceMs = 30_000

/** Calls it every 20 ms until the result is neither false nor null, and returns that; fails after 30 s. */
export async function eventually<T>(what: string, ask: () => Promise<T | null | false> | T | null | false): Promise<T> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const reply = await ask()
    if (reply !== null && reply !== false) return reply
    if (performance.now() > deadline) throw new Error(`${patienceMs / 1_000} s have passed without: ${what}`)
    await delay(20)
  }
}
