import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { startTestApp, type TestApp } from '../harness.ts'
import { type Act, asked, decisions, type Known, outcomes, predict, seenByAgent } from './model.ts'
import { type Play, startPlay } from './play.ts'
import { totalsAndCounts } from './table-contents.ts'

/** `npm run check:deep` makes 10 000. */
const runs = Number(process.env.HITL_MODEL_RUNS ?? 150)

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

interface Asked {
  readonly id: string
  known: Known
}

const now = () => t.clock.now().getTime()

async function compare({ id, known }: Asked, app: number): Promise<void> {
  assert.deepEqual(await play.shown(id, app, t.apiKey), play.membersOf(seenByAgent(known)))
  assert.deepEqual(await play.shown(id, app, await play.tokenOf(0)), play.membersOf(known))
}

const actOf: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record(
      {
        kind: fc.constant('respond' as const),
        by: fc.nat(1),
        decision: fc.constantFrom(...decisions),
        revision: fc.constantFrom(1, 1, 2),
      },
      { requiredKeys: ['kind', 'by', 'decision'] },
    ),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('undo' as const), by: fc.nat(1) }) },
  {
    weight: 2,
    arbitrary: fc.record(
      {
        kind: fc.constant('revise' as const),
        minutes: fc.constantFrom(1, 60, null),
        holdMs: fc.constantFrom(0, 30_000),
        revision: fc.constantFrom(1, 2, 3),
      },
      { requiredKeys: ['kind', 'minutes', 'holdMs'] },
    ),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Act>(
      { kind: 'cancel' },
      { kind: 'redeem' },
      { kind: 'sweep' },
      { kind: 'sweep' },
      { kind: 'outcome', status: 'executed' },
      { kind: 'outcome', status: 'failed' },
    ),
  },
)

interface Command {
  readonly [fc.toStringMethod]: () => string
  run(requests: Asked[]): Promise<void>
}

function sweepAll(requests: readonly Asked[]): void {
  for (const one of requests) [one.known] = predict(one.known, { kind: 'sweep' }, now())
}

const onOne = (requests: readonly Asked[], which: number): Asked | undefined => requests.at(which % requests.length)

const commandOf: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc
      .record({ app: fc.nat(1), minutes: fc.constantFrom(1, 60, null), hold: fc.constantFrom(0, 30) })
      .map(({ app, minutes, hold }) => ({
        [fc.toStringMethod]: () => `ask(${minutes}, ${hold})`,
        run: async (requests: Asked[]) => {
          const body = { title: 'x', context: {}, timeout_minutes: minutes, hold_seconds: hold }
          const made = await play.call(app, 'POST', '', t.apiKey, body)
          requests.push({
            id: made.body.id,
            known: asked(minutes === null ? null : now() + minutes * 60_000, hold * 1_000),
          })
        },
      })),
  },
  {
    weight: 4,
    arbitrary: fc.record({ app: fc.nat(1), which: fc.nat(), act: actOf }).map(({ app, which, act }) => ({
      [fc.toStringMethod]: () => `one(${JSON.stringify(act)})`,
      run: async (requests: Asked[]) => {
        const one = onOne(requests, which)
        if (one === undefined) return
        const [next, told] = predict(one.known, act, now())
        assert.equal(await play.perform(app, one.id, act), told)
        one.known = next
        if (act.kind === 'sweep') sweepAll(requests)
        await compare(one, 1 - app)
      },
    })),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({ which: fc.nat(), acts: fc.array(actOf, { minLength: 2, maxLength: 5 }) })
      .map(({ which, acts }) => ({
        [fc.toStringMethod]: () => `race(${acts.map((act) => JSON.stringify(act)).join()})`,
        run: async (requests: Asked[]) => {
          const one = onOne(requests, which)
          if (one === undefined) return
          const told = await Promise.all(acts.map((act, place) => play.perform(place % 2, one.id, act)))
          // A sweep skips what somebody else has locked, and leaves it to the next one.
          const swept = acts.some(({ kind }) => kind === 'sweep') && (await play.perform(0, one.id, { kind: 'sweep' }))
          const possible = outcomes(
            one.known,
            acts.map((act, place) => [act, told[place] ?? '']),
            now(),
          )
          assert.ok(possible[0], `no order of these acts explains these replies: ${told.join(', ')}`)
          const seen = await play.shown(one.id, 0, await play.tokenOf(1))
          const fitting = possible
            .map((known) => (swept === '' ? predict(known, { kind: 'sweep' }, now())[0] : known))
            .find((known) => isDeepStrictEqual(play.membersOf(known), seen))
          assert.ok(fitting, `${seen.join()} is none of ${JSON.stringify(possible)}`)
          one.known = fitting
          if (swept === '') sweepAll(requests)
          await compare(one, 1)
        },
      })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(1_000, 29_999, 30_000, 60_000, 3_600_000, 86_400_000).map((ms) => ({
      [fc.toStringMethod]: () => `pass(${ms})`,
      run: async () => t.clock.advance(ms),
    })),
  },
)

test(`${runs} random histories, alone and at once, by two processes: every reply is the model's`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(commandOf, { minLength: 1, maxLength: 25 }), async (commands) => {
      const requests: Asked[] = []
      const began = t.clock.now().getTime()
      for (const { run } of commands) await run(requests)
      for (const one of requests) await compare(one, 0)
      // Sessions end after centuries, API keys after a year.
      t.clock.advance(began - now())
    }),
    { numRuns: runs, endOnFailure: true },
  )
  const { totals, counts } = await totalsAndCounts(t)
  assert.deepEqual(totals, counts)
})
