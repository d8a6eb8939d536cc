import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { filesForAnswers } from '../../src/attachments/for-answers.ts'
import { groupActs } from '../../src/consultations/acts.ts'
import type { Consultation } from '../../src/consultations/consultation.ts'
import * as rules from '../../src/consultations/consultation.ts'
import type { RequestChange } from '../../src/consultations/facts.ts'
import { createOpenWrites } from '../../src/consultations/open-writes.ts'
import { redeem } from '../../src/consultations/redemption.ts'
import { createEvents } from '../../src/events/service.ts'
import { type Agent, type Caller, keyScopes } from '../../src/identity/principal.ts'
import { newId } from '../../src/platform/ids.ts'
import { startTestApp, type TestApp } from '../harness.ts'
import { addApiKey, type TestKey } from '../people-and-keys.ts'
import { openedCertificate } from './opened-certificate.ts'

let t: TestApp
let key: TestKey
before(async () => {
  t = await startTestApp()
  key = await addApiKey(t)
})
after(() => t.stop())

test('404 for an id that is not a UUID, through every entry point', async () => {
  const by: Caller<Agent> = {
    principal: {
      kind: 'agent',
      organizationId: t.organizationId,
      agentId: key.agentId,
      apiKeyId: key.id,
      scopes: keyScopes,
    },
    httpRequestId: 'door',
  }
  const { cancel, redeem: use, redeliver, read } = t.app.consultations
  for (const id of ['', 'x', `urn:uuid:${newId()}`, `{${newId()}}`, newId().replaceAll('-', '')]) {
    const acts = [() => cancel(by, id), () => use(by, id, null), () => redeliver(by, id), () => read(by.principal, id)]
    for (const act of acts) await assert.rejects(act, { status: 404, code: 'consultation.not_found' }, id)
  }
})

test('acts on one request in one commit reach readers as separate changes, each with its facts', async () => {
  const { id } = (await t.call('POST', '/api/v1/requests', { as: key.raw, body: { title: 'x', context: {} } })).body
  const seen: { readonly kinds: readonly string[]; readonly changes: readonly RequestChange[] }[] = []
  const events = createEvents<RequestChange>([
    async (_tx, appended, changes) => void seen.push({ kinds: appended.map(({ kind }) => kind), changes }),
  ])
  const perform = groupActs({
    db: t.app.db,
    clock: t.clock,
    events,
    openWrites: createOpenWrites(t.clock),
    answerFiles: filesForAnswers,
  })
  const { organizationId } = t
  const agent: Caller = {
    principal: { kind: 'agent', organizationId, agentId: key.agentId, apiKeyId: key.id, scopes: keyScopes },
    httpRequestId: 'batch',
  }
  const { id: userId } = t.reviewer
  const person: Caller = {
    principal: { kind: 'person', organizationId, userId, accountId: userId, role: 'reviewer' },
    httpRequestId: 'batch',
  }
  const certify: rules.Certify = () => ({
    certificate: 'h.p.s',
    certificateExpiresAt: new Date(t.clock.now().getTime() + 86_400_000),
  })
  const found = (given: Consultation | null): Consultation => given ?? assert.fail('the request is not there')
  const now = t.clock.now()
  await Promise.all([
    perform({
      key: { organizationId, id },
      from: person,
      comparesDigest: false,
      decide: (given) =>
        rules.respond(found(given), { userId, role: 'reviewer' }, { decision: 'approve', comment: null }, now, certify),
    }),
    perform({
      key: { organizationId, id },
      from: agent,
      comparesDigest: false,
      decide: (given) => {
        const decided = found(given)
        return redeem(decided, { kind: 'agent', id: key.agentId }, null, now, openedCertificate(decided))
      },
    }),
  ])
  const stateOf = (of: Consultation | null) => of && [of.state, of.redeemedAt]
  assert.deepEqual(
    seen.map(({ kinds, changes }) => [kinds, changes.map((one) => [stateOf(one.before), stateOf(one.after)])]),
    [
      [
        ['request.responded', 'request.redeemed'],
        [
          [
            ['pending', null],
            ['responded', null],
          ],
          [
            ['responded', null],
            ['responded', now],
          ],
        ],
      ],
    ],
  )
})
