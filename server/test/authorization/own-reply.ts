import { randomBytes } from 'node:crypto'
import { hashSecretToken } from '../../src/identity/secret-token.ts'
import { newId } from '../../src/platform/ids.ts'
import type { Reply, TestApp } from '../harness.ts'
import type { TestPerson } from '../people-and-keys.ts'
import { sessionOf } from './credentials.ts'
import { type Call, callOf, type Operation, type Place } from './operations.ts'
import { ownThings, type Scene } from './own-things.ts'

/** The reply to a call on an existing thing of the caller, with a step-up if the call needs one. */
export async function replyOnOwn(
  operation: Operation,
  scene: Scene,
  send: (call: Call, as: string, stepUp?: string) => Promise<Reply>,
  { named = [], hold }: { readonly named?: readonly Place[]; readonly hold?: () => Promise<void> } = {},
): Promise<Reply> {
  const { t, tenant, caller, token } = scene
  const things = (await ownThings[operation.id]?.(scene)) ?? {}
  await hold?.()
  const { body = operation.body, ids = {} } = things
  const call = callOf({ ...operation, body }, { ...tenant.ids, ...ids }, { named })
  const reply = await send(call, token)
  if (reply.body?.code !== 'auth.step_up_required' || caller === 'agent') return reply
  return send(call, token, await grantStepUp(t, tenant.people[caller], reply.body.digest))
}

/** As if the person had made a step-up for the act with this digest. */
async function grantStepUp(t: TestApp, { organizationId, id, token }: TestPerson, digest: string): Promise<string> {
  const stepUp = randomBytes(32).toString('base64url')
  await t.sql(
    `insert into step_ups (organization_id, id, user_id, session_id, digest, method, token_hash, expires_at, created_at)
     values ($1, $2, $3, $4, decode($5, 'hex'), 'totp', $6, '2900-01-01', now())`,
    [organizationId, newId(), id, sessionOf(token), digest, hashSecretToken(stepUp)],
  )
  return stepUp
}
