import { verifyExport } from '../../../cli/src/audit-verify.ts'
import { eventually } from '../eventually.ts'
import type { TestApp } from '../harness.ts'

/** The export of the sample organization, as its admin gets it. */
export async function exportOf(t: TestApp, query = ''): Promise<string> {
  const reply = await t.call('GET', `/api/v1/events/export${query}`, { as: t.admin.token })
  if (reply.status !== 200) throw new Error(reply.text)
  return reply.text
}

/** Verifies it offline with the keys that the service publishes. */
export async function verified(t: TestApp, text: string, expectHead: readonly string[] = []) {
  const { body: publicKeys } = await t.call('GET', '/.well-known/jwks.json')
  return verifyExport([text], { publicKeys, expectHead })
}

/** Seals until nothing is left. An open transaction anywhere on the server, such as one of another test file, delays seals. */
export const sealAll = (t: TestApp): Promise<boolean> =>
  eventually('everything is sealed', async () => {
    await t.app.audit.drain()
    const [row] = await t.sql(`select (select count(*) from events) as events, (select sum(last_position) from (
      select max(last_position) as last_position from audit_seals group by organization_id) s) as sealed`)
    return Number(row?.events) <= Number(row?.sealed)
  })
