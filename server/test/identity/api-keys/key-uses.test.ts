import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, type TestContext, test } from 'node:test'
import { createKeyUses } from '../../../src/identity/api-keys/key-uses.ts'
import type { Agent } from '../../../src/identity/principal.ts'
import type { Db } from '../../../src/platform/database/db.ts'
import { startTestApp, type TestApp } from '../../harness.ts'
import { addApiKey } from '../../people-and-keys.ts'

let t: TestApp
before(async () => {
  t = await startTestApp()
})
after(() => t.stop())

/** The work scheduled for half a minute later, and how many statements were sent. */
let turns: (() => void)[] = []
let statements = 0
let isAway = false
const counted = (): Db => ({
  ...t.app.db,
  within: (scope) => {
    statements += 1
    if (isAway) throw new Error('the database is away')
    return t.app.db.within(scope)
  },
})
const start = () => createKeyUses(counted(), t.clock, (work) => void turns.push(work))
const halfAMinute = (): void => {
  t.clock.advance(30_000)
  for (const work of turns.splice(0)) work()
}
beforeEach(() => {
  turns = []
  statements = 0
  isAway = false
})

const newAgent = async (): Promise<Agent> => {
  const { organizationId } = t
  const { id, agentId } = await addApiKey(t, organizationId)
  return { kind: 'agent', organizationId, agentId, apiKeyId: id, scopes: [], hold: null, keyExpiring: null }
}
const isShown = (context: TestContext, { apiKeyId }: Agent, at: Date, address: string) =>
  context.waitFor(
    async () => {
      const [row] = await t.sql('select last_used_at, last_used_address from api_keys where id = $1', [apiKeyId])
      assert.deepEqual(row, { last_used_at: at, last_used_address: address })
    },
    { interval: 5, timeout: 5_000 },
  )

describe('the last use of a key', () => {
  test('is written even if no call follows and an earlier use was just written', async (context) => {
    const [uses, agent] = [start(), await newAgent()]
    uses.used(agent, '192.0.2.1')
    t.clock.advance(10_000)
    const last = t.clock.now()
    uses.used(agent, '192.0.2.1')
    halfAMinute()
    await isShown(context, agent, last, '192.0.2.1')
    halfAMinute()
    halfAMinute()
    assert.equal(statements, 2)
    assert.deepEqual(turns, [], 'a key that is not used any more is forgotten')
  })

  test('from ever-changing addresses costs a few statements in half a minute, and the last one is written', async (context) => {
    const [uses, agent] = [start(), await newAgent()]
    for (let turn = 0; turn < 100; turn += 1) {
      t.clock.advance(250)
      uses.used(agent, `192.0.2.${turn}`)
    }
    const last = t.clock.now()
    halfAMinute()
    await isShown(context, agent, last, '192.0.2.99')
    assert.equal(statements, 5)
  })

  test('of many keys of an organization is written in one statement', async (context) => {
    const uses = start()
    const agents = [await newAgent(), await newAgent(), await newAgent()]
    for (const agent of agents) uses.used(agent, '192.0.2.1')
    t.clock.advance(10_000)
    const last = t.clock.now()
    for (const agent of agents) uses.used(agent, '192.0.2.1')
    halfAMinute()
    for (const agent of agents) await isShown(context, agent, last, '192.0.2.1')
    assert.equal(statements, 4)
  })

  test('is written later if the database was away, and on shutdown', async (context) => {
    const [uses, agent] = [start(), await newAgent()]
    isAway = true
    uses.used(agent, '192.0.2.1')
    const first = t.clock.now()
    await context.waitFor(() => assert.equal(statements, 1), { interval: 5, timeout: 5_000 })
    isAway = false
    // After the failure.
    await new Promise(setImmediate)
    halfAMinute()
    await isShown(context, agent, first, '192.0.2.1')
    t.clock.advance(1_000)
    const last = t.clock.now()
    uses.used(agent, '192.0.2.1')
    await uses.close()
    await isShown(context, agent, last, '192.0.2.1')
  })

  test('is never replaced by an earlier one, whichever process writes last', async (context) => {
    const [here, there, agent] = [start(), start(), await newAgent()]
    here.used(agent, '192.0.2.1')
    t.clock.advance(1_000)
    here.used(agent, '192.0.2.1')
    t.clock.advance(1_000)
    const last = t.clock.now()
    there.used(agent, '192.0.2.2')
    await isShown(context, agent, last, '192.0.2.2')
    await here.close()
    await isShown(context, agent, last, '192.0.2.2')
  })
})
