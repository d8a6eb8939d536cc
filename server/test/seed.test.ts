import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { decisions, optionModes } from '../src/consultations/questions/question.ts'
import { questionMembers } from '../src/consultations/questions/schemas.ts'
import { priorities, risks } from '../src/consultations/questions/tiers.ts'
import { samples } from '../src/samples.ts'
import { seed } from '../src/seed.ts'
import { startTestApp, type TestApp } from './harness.ts'

let t: TestApp
let apiKey: string
before(async () => {
  t = await startTestApp()
  apiKey = (await seed(t.app)).apiKey
})
after(() => t.stop())

// biome-ignore lint/suspicious/noExplicitAny: bodies of every shape
type Asked = any

const titles = samples.flatMap(({ asks, next = [] }) => [
  asks.title,
  ...next.flatMap((step) => (step.act === 'revises' ? [step.body.title] : [])),
])

async function found(): Promise<readonly Asked[]> {
  const { body } = await t.call('GET', '/api/v1/requests?limit=100&fields=full', { as: t.admin.token })
  return body.items.filter(({ title }: Asked) => titles.includes(title))
}

test('the samples ask every kind of question, and have every state that a person or an agent brings about', async () => {
  const items = await found()
  assert.equal(items.length, samples.length)
  const among = (what: (item: Asked) => readonly unknown[]) => new Set(items.flatMap(what))
  const has = (seen: ReadonlySet<unknown>, wanted: readonly unknown[]) =>
    assert.deepEqual(
      wanted.filter((one) => !seen.has(one)),
      [],
    )
  has(
    among((item) => Object.keys(item).filter((name) => item[name] !== null)),
    Object.keys(questionMembers),
  )
  has(
    among(({ answer }) => Object.keys(answer ?? {})),
    Object.keys((questionMembers.answer as Asked).anyOf[0].properties),
  )
  has(
    among(({ risk }) => [risk]),
    risks,
  )
  has(
    among(({ priority }) => [priority]),
    priorities,
  )
  has(
    among(({ answer }) => [answer?.options?.mode]),
    optionModes,
  )
  has(
    among(({ answer }) => answer?.decisions ?? ['approve', 'reject', 'request_changes']),
    decisions,
  )
  has(
    among(({ state }) => [state]),
    ['pending', 'responded', 'cancelled', 'completed'],
  )
  assert.equal(among(({ agent_id }) => [agent_id]).size, 2)
  for (const some of [
    items.filter(({ hold_seconds }) => hold_seconds > 0),
    items.filter(({ attachments }) => attachments.length > 0),
    items.filter(({ revision, state }) => revision === 2 && state === 'pending'),
    items.filter(({ response }) => response?.args_patch?.length > 0),
    items.filter(({ outcome }) => outcome?.status === 'executed'),
  ]) {
    assert.ok(some.length > 0)
  }
})

test('every hint leads to a value, and to the value before', async () => {
  const valueAt = (root: Asked, pointer: string) =>
    pointer
      .split('/')
      .slice(1)
      .reduce((value, name) => value?.[name], root)
  const hints = (await found()).flatMap((item) =>
    Object.entries((item.presentation?.hints ?? {}) as Readonly<Record<string, Asked>>).map(([pointer, hint]) => ({
      item,
      pointer,
      hint,
    })),
  )
  assert.ok(hints.some(({ hint }) => hint.render === 'diff'))
  for (const { item, pointer, hint } of hints) {
    assert.notEqual(valueAt(item, pointer), undefined, pointer)
    if (hint.before !== undefined) assert.equal(typeof valueAt(item, hint.before), 'string', hint.before)
  }
})

test('a second run changes nothing, even of what was answered meanwhile', async () => {
  const open = (await found()).find(({ state, risk, answer }) => state === 'pending' && risk === 'low' && !answer)
  const answered = await t.call('POST', `/api/v1/requests/${open.id}/respond`, {
    as: t.reviewer.token,
    body: { decision: 'approve' },
  })
  assert.equal(answered.status, 200, answered.text)
  const events = async () => (await t.sql('select count(*)::int as count from events'))[0]?.count
  const [before, recorded] = [await found(), await events()]
  assert.equal((await seed(t.app)).apiKey, apiKey)
  assert.deepEqual(await found(), before)
  assert.equal(await events(), recorded)
})
