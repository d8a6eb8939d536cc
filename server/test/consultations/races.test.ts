import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { startTestApp, type TestApp } from '../harness.ts'
import { type Act, asked, type Known, outcomes, predict } from './model.ts'
import { type Play, startPlay } from './play.ts'
import { totalsAndCounts } from './table-contents.ts'

/** Of each pair; `npm run check:deep` makes 1 000. */
const races = Number(process.env.HITL_RACES ?? 40)
const atOnce = 20
const holdMs = 30_000

let t: TestApp
let play: Play
before(async () => {
  t = await startTestApp()
  play = await startPlay(t)
})
after(async () => {
  await play.stop()
  await t.stop()
})

/** What can happen to a request, each by its own caller. Timeout and release are the timer's. */
const acts = {
  answer: { kind: 'respond', by: 0, decision: 'approve', revision: 1 },
  timeout: { kind: 'sweep' },
  cancel: { kind: 'cancel' },
  revision: { kind: 'revise', minutes: 60, holdMs: 0 },
  undo: { kind: 'undo', by: 1 },
  release: { kind: 'sweep' },
  redeem: { kind: 'redeem' },
} as const satisfies Record<string, Act>
type Name = keyof typeof acts

const names = Object.keys(acts) as Name[]
const pairs = names.flatMap((one, place) => names.slice(place + 1).map((other) => [one, other] as const))
/** Both act on a decision that is held back. */
const onHeld: ReadonlySet<Name> = new Set(['undo', 'release', 'redeem'])
/** They meet at the end of a hold, or at the time of the request. */
const isAtItsEnd = (pair: readonly Name[]): boolean => pair.includes('release') || pair.includes('timeout')

/** Open, or decided and held back, just before the race. */
async function prepare(pair: readonly Name[]): Promise<{ readonly id: string; readonly known: Known }> {
  const isHeld = pair.some((name) => onHeld.has(name))
  const minutes = isHeld && !pair.includes('timeout') ? 60 : 1
  // Held as long as it has time: what is answered in time does not time out.
  const ms = isHeld ? (pair.includes('timeout') ? 60_000 : holdMs) : 0
  const body = { title: 'x', context: {}, timeout_minutes: minutes, hold_seconds: ms / 1_000 }
  const { body: made } = await play.call(0, 'POST', '', t.apiKey, body)
  let known = asked(t.clock.now().getTime() + minutes * 60_000, ms)
  if (!isHeld) return { id: made.id, known }
  const answer = { kind: 'respond', by: 1, decision: 'approve' } as const
  assert.equal(await play.perform(1, made.id, answer), '200')
  ;[known] = predict(known, answer, t.clock.now().getTime())
  return { id: made.id, known }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

describe(`${races} races of each pair, in two processes: every reply and what is left come from one order`, () => {
  for (const pair of pairs) {
    test(pair.join(' and '), async (c) => {
      const seen = new Map<string, number>()
      for (let wave = 0; wave < races; wave += atOnce) {
        const requests = await Promise.all(Array.from({ length: Math.min(atOnce, races - wave) }, () => prepare(pair)))
        const timed = requests.map(({ known }) => known.heldUntil ?? known.dueAt ?? 0)
        if (isAtItsEnd(pair)) t.clock.advance(Math.max(...timed) - t.clock.now().getTime())
        const now = t.clock.now().getTime()
        const raced = await Promise.all(
          requests.map(async ({ id, known }, place) => {
            const inOrder = place % 2 === 0 ? pair : pair.toReversed()
            const first = play.perform(place % 2, id, acts[inOrder[0] ?? 'answer'])
            // Some one after the other, so that both orders are seen; the others meet at different points.
            await (place < 2 ? first : turns(place % 7))
            const second = play.perform(1 - (place % 2), id, acts[inOrder[1] ?? 'answer'])
            return { id, known, place, inOrder, told: await Promise.all([first, second]) }
          }),
        )
        // A sweep skips what somebody else has locked, and leaves it to the next one.
        const isSwept = pair.some((name) => acts[name].kind === 'sweep')
        if (isSwept) await play.perform(0, '', { kind: 'sweep' })
        await Promise.all(
          raced.map(async ({ id, known, place, inOrder, told }) => {
            const possible = outcomes(
              known,
              inOrder.map((name, at) => [acts[name], told[at] ?? '']),
              now,
            )
            assert.ok(possible[0], `${pair} of ${id}: no order explains ${told.join(', ')}`)
            const left = await play.shown(id, place % 2, await play.tokenOf(1))
            const fitting = possible
              .map((one) => (isSwept ? predict(one, { kind: 'sweep' }, now)[0] : one))
              .some((one) => isDeepStrictEqual(play.membersOf(one), left))
            assert.ok(fitting, `${pair} of ${id}: ${left.join()} is none of ${JSON.stringify(possible)}`)
            const story = `${pair.map((name) => told[inOrder.indexOf(name)] || 'swept').join(' / ')} -> ${left.slice(0, 3).join()}`
            seen.set(story, (seen.get(story) ?? 0) + 1)
          }),
        )
      }
      c.diagnostic([...seen].map(([story, count]) => `${count} × ${story}`).join('; '))
    })
  }

  test('no total is lost, and no act is written twice', async () => {
    const { totals, counts } = await totalsAndCounts(t)
    assert.deepEqual(totals, counts)
    const twice = await t.sql(
      `select kind, subject_id, record::jsonb->'after'->>'revision' as revision from events
       where kind in ('request.revised', 'request.cancelled', 'request.timed_out', 'request.released', 'request.redeemed')
       group by 1, 2, 3 having count(*) > 1`,
    )
    assert.deepEqual(twice, [])
    // An answer that was taken back may be given again.
    const [answers] = await t.sql(
      `select count(*) filter (where kind = 'request.responded') - count(*) filter (where kind = 'request.undone'
         or record::jsonb->'before'->>'held_until' is not null and kind in ('request.revised', 'request.cancelled')) as standing,
         (select count(*) from consultation_answers where voided_at is null) as kept from events`,
    )
    assert.equal(answers?.standing, answers?.kept)
  })
})
