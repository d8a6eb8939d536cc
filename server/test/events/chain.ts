import { verifyExport } from '../../../cli/src/audit-verify.ts'
import type { TestApp } from '../harness.ts'

/** The export of the sample organization, as the admin gets it. */
export async function exportOf(t: TestApp, query = ''): Promise<string> {
  const reply = await t.call('GET', `/api/v1/events/export${query}`, { as: t.admin.token })
  if (reply.status !== 200) throw new Error(reply.text)
  return reply.text
}

/** What the offline verifier says of it, with the keys that the service publishes. */
export async function verified(t: TestApp, text: string, expectHead: readonly string[] = []) {
  const { body: publicKeys } = await t.call('GET', '/.well-known/jwks.json')
  return verifyExport([text], { publicKeys, expectHead })
}

/** Asks again until it is so; fails after `patienceMs`. */
export async function until<T>(ask: () => Promise<T | null | false>, what: string, patienceMs = 10_000): Promise<T> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const answer = await ask()
    if (answer !== null && answer !== false) return answer
    if (performance.now() > deadline) throw new Error(`never so: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
